import { RefusedError } from "../domain/errors.ts";

/** What can be wrong with a file of a release. The words of a refusal's `problem`. */
export type ReleaseProblem =
  | "missing"
  | "unreadable"
  | "wrong_product"
  | "wrong_version"
  | "wrong_name"
  | "wrong_size"
  | "wrong_digest"
  | "wrong_block_list"
  | "no_root_keys"
  | "keys_invalid"
  | "keys_conflict"
  | "signature_invalid"
  | "key_unknown"
  | "key_revoked";

/** A release that cannot be imported: which of its files is wrong, and how. `sentence` has no full stop. */
export function invalidRelease(file: string, problem: ReleaseProblem, sentence: string): RefusedError {
  return new RefusedError("release_invalid", `${file}: ${sentence}. Nothing was changed.`, { file, problem });
}

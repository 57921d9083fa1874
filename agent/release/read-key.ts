/** Reads the key files that a verb is given. */
import { parsePublicKeys, type PublicKey } from "../../gen/minisign.ts";
import { OperatorError } from "../operator-error.ts";
import { readInput } from "./read-input.ts";
import { readPassword } from "./password.ts";
import { decodeSecretKey } from "./secret-key-file.ts";
import type { SecretKey } from "./secret-key.ts";
import type { Workbench } from "./workbench.ts";

/** *Throws* OperatorError that names the file and what is wrong with it, or with the password. */
export async function readSecretKey(
  path: string,
  passwordFile: string | undefined,
  bench: Workbench,
): Promise<SecretKey> {
  const text = (await readInput(path)).toString("utf8");
  try {
    return await decodeSecretKey(text, () => readPassword(`Password of ${path}: `, passwordFile, bench));
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** The public keys of a file, at least one. *Throws* OperatorError that names the file. */
export async function readPublicKeys(path: string): Promise<readonly PublicKey[]> {
  const text = (await readInput(path)).toString("utf8");
  try {
    return parsePublicKeys(text);
  } catch (error) {
    throw new OperatorError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

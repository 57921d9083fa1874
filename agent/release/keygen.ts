/** `release -- keygen`: one more key pair, such as a second signing key. */
import { resolve } from "node:path";
import { OperatorError } from "../operator-error.ts";
import { createRandomKey, writeKeyPair } from "./key-folder.ts";
import { readNewPassword } from "./password.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

/** Writes `PATH.key` and `PATH.pub`. *Throws* OperatorError. */
export async function keygen(words: readonly string[], bench: Workbench): Promise<void> {
  const { values, positionals } = readVerbArguments(words, {
    "password-file": { type: "string" },
    unencrypted: { type: "boolean", default: false },
  });
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0)
    throw new OperatorError("keygen takes the path of the new key, without .key", { exitStatus: 2 });
  if (values.unencrypted && values["password-file"] !== undefined)
    throw new OperatorError("--unencrypted and --password-file exclude each other", { exitStatus: 2 });
  const password = values.unencrypted
    ? undefined
    : await readNewPassword(`${path}.key`, values["password-file"], bench);
  const key = createRandomKey(bench);
  await writeKeyPair(resolve(path), key, password, bench);
  bench.print(`${path}.key  secret${password === undefined ? ", NOT encrypted: whoever reads it can sign" : ""}`);
  bench.print(`${path}.pub  public, key ${key.publicKey.keyId}`);
}

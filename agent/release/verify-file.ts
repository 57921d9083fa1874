/** `release -- verify`: whether files are what a key signed. */
import { isSignedBy, parseSignature, type PublicKey } from "../../gen/minisign.ts";
import { OperatorError } from "../operator-error.ts";
import { readPublicKeys } from "./read-key.ts";
import { readInput } from "./read-input.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

/** Checks each file against `FILE.minisig`. *Throws* OperatorError that names the first file that fails. */
export async function verify(words: readonly string[], bench: Workbench): Promise<void> {
  const { values, positionals } = readVerbArguments(words, { key: { type: "string" } });
  if (values.key === undefined || positionals.length === 0)
    throw new OperatorError("verify takes --key FILE.pub and the files to check", { exitStatus: 2 });
  const keys = await readPublicKeys(values.key);
  for (const path of positionals) bench.print(await verifyFile(path, keys));
}

async function verifyFile(path: string, keys: readonly PublicKey[]): Promise<string> {
  const content = await readInput(path);
  const signature = readSignature(`${path}.minisig`, await readInput(`${path}.minisig`));
  const key = keys.find((candidate) => isSignedBy(candidate, content, signature));
  if (key !== undefined)
    return `${path}  signed by key ${key.keyId}, trusted comment ${JSON.stringify(signature.trustedComment)}`;
  if (keys.some(({ keyId }) => keyId === signature.keyId))
    throw new OperatorError(`${path} or its trusted comment is not what key ${signature.keyId} signed`);
  const expected = keys.map(({ keyId }) => keyId).join(", ");
  throw new OperatorError(`${path} is signed by key ${signature.keyId}, not by ${expected}`);
}

function readSignature(path: string, file: Buffer) {
  try {
    return parseSignature(file);
  } catch (error) {
    throw new OperatorError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** `release -- sign`: signature files beside files. */
import { basename } from "node:path";
import { OperatorError } from "../operator-error.ts";
import { replaceFile } from "./file-writing.ts";
import { readSecretKey } from "./read-key.ts";
import { describeSignedFile, signContent } from "./secret-key.ts";
import { readInput } from "./read-input.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

/** Writes `FILE.minisig` for each file. *Throws* OperatorError. */
export async function sign(words: readonly string[], bench: Workbench): Promise<void> {
  const { values, positionals } = readVerbArguments(words, {
    key: { type: "string" },
    "password-file": { type: "string" },
    comment: { type: "string" },
  });
  if (values.key === undefined || positionals.length === 0)
    throw new OperatorError("sign takes --key FILE.key and the files to sign", { exitStatus: 2 });
  const files = await Promise.all(positionals.map(async (path) => ({ path, content: await readInput(path) })));
  const key = await readSecretKey(values.key, values["password-file"], bench);
  for (const { path, content } of files) {
    const comment = values.comment ?? describeSignedFile(basename(path), bench.now());
    await replaceFile(`${path}.minisig`, signContent(key, content, comment));
    bench.print(`${path}.minisig  by key ${key.publicKey.keyId}`);
  }
}

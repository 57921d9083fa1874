/**
 * `release -- keys`: the next key set, signed by a root key. This is how a signing
 * key follows another, how a stolen one is shut out, and how hosts that a thief
 * sent to a huge sequence are brought back.
 */
import { join, resolve } from "node:path";
import { OperatorError } from "../operator-error.ts";
import { replaceFile } from "./file-writing.ts";
import { readKeyFolder, signKeySet, type KeyFolder } from "./key-folder.ts";
import { createNextKeySet, type NamedKey } from "./key-set.ts";
import { readPublicKeys, readSecretKey } from "./read-key.ts";
import type { SecretKey } from "./secret-key.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

/** Writes the next `keys.json` of a folder, or lists what the present one says. *Throws* OperatorError. */
export async function keys(words: readonly string[], bench: Workbench): Promise<void> {
  const { values, positionals } = readVerbArguments(words, {
    dir: { type: "string" },
    root: { type: "string" },
    "password-file": { type: "string" },
    add: { type: "string", multiple: true, default: [] },
    label: { type: "string", multiple: true, default: [] },
    revoke: { type: "string", multiple: true, default: [] },
    floor: { type: "string" },
  });
  if (values.dir === undefined || positionals.length > 0)
    throw new OperatorError("keys takes --dir DIR, a folder that init made", { exitStatus: 2 });
  const folder = await readKeyFolder(resolve(values.dir));
  if (values.root === undefined) {
    if (values.add.length > 0 || values.revoke.length > 0 || values.floor !== undefined)
      throw new OperatorError("a change needs --root FILE.key: only a root key signs key sets", { exitStatus: 2 });
    printKeySet(folder, bench);
    return;
  }
  const now = bench.now();
  const change = {
    add: await readNamedKeys(values.add, values.label),
    revoke: (await Promise.all(values.revoke.map(readPublicKeys))).flat().map(({ text }) => text),
    sequenceFloor: readFloor(values.floor),
  };
  const keySet = createNextKeySet(folder.keySet, change, folder.roots, now);
  const root = await readSecretKey(values.root, values["password-file"], bench);
  refuseOtherRoot(root, values.root, folder);
  const signed = signKeySet(keySet, root, now);
  // Killed between the two, the folder holds a key set that its signature does not fit; nobody takes it for one.
  await replaceFile(join(folder.path, "keys.json"), signed.keys);
  await replaceFile(join(folder.path, "keys.json.minisig"), signed.signature);
  printKeySet({ ...folder, keySet }, bench);
  bench.print("Releases that are built from now on carry it. Hosts take it with the next update that they are sent.");
}

async function readNamedKeys(paths: readonly string[], labels: readonly string[]): Promise<readonly NamedKey[]> {
  if (labels.length > paths.length)
    throw new OperatorError("there are more --label than --add: a label names an added key", { exitStatus: 2 });
  return Promise.all(
    paths.map(async (path, index) => {
      const [key, ...rest] = await readPublicKeys(path);
      if (key === undefined || rest.length > 0) throw new OperatorError(`${path} holds more than one key`);
      return { key, label: labels[index] ?? `signing key ${key.keyId}` };
    }),
  );
}

function readFloor(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,16}$/.test(text))
    throw new OperatorError(`--floor ${JSON.stringify(text)} is no sequence`, { exitStatus: 2 });
  return BigInt(text);
}

function refuseOtherRoot(root: SecretKey, path: string, folder: KeyFolder): void {
  if (folder.roots.some(({ text }) => text === root.publicKey.text)) return;
  throw new OperatorError(`${path} is none of the root keys in ${folder.path}; hosts would refuse what it signs`);
}

function printKeySet({ keySet, path }: KeyFolder, bench: Workbench): void {
  bench.print(`${join(path, "keys.json")}  sequence ${keySet.sequence}`);
  for (const { publicKey, label } of keySet.signingKeys) bench.print(`  signs    ${publicKey}  ${label}`);
  for (const publicKey of keySet.revokedKeys) bench.print(`  revoked  ${publicKey}`);
  if (keySet.sequenceFloor !== undefined)
    bench.print(
      `  floor    ${keySet.sequenceFloor}: hosts that take it refuse lower sequences, whatever they refused before`,
    );
}

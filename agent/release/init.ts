/** `release -- init`: makes somebody their own publisher. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OperatorError } from "../operator-error.ts";
import { createKeyFolder } from "./key-folder.ts";
import { readNewPassword } from "./password.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

/** Makes a folder of keys and tells what belongs where. *Throws* OperatorError. */
export async function init(words: readonly string[], bench: Workbench): Promise<void> {
  const { values, positionals } = readVerbArguments(words, {
    dir: { type: "string" },
    label: { type: "string", default: "signing key 1" },
    "password-file": { type: "string" },
    "signing-password-file": { type: "string" },
    unencrypted: { type: "boolean", default: false },
  });
  const rootFile = values["password-file"];
  const signingFile = values["signing-password-file"] ?? rootFile;
  if (values.dir === undefined || positionals.length > 0)
    throw new OperatorError("init takes --dir DIR, the folder to make", { exitStatus: 2 });
  if (values.unencrypted && signingFile !== undefined)
    throw new OperatorError("--unencrypted and a password file exclude each other", { exitStatus: 2 });
  const path = resolve(values.dir);
  await refuseFullFolder(path);
  const passwords = values.unencrypted
    ? undefined
    : {
        root: await readNewPassword("the two root keys", rootFile, bench),
        signing: await readNewPassword("the signing key", signingFile, bench),
      };
  await createKeyFolder({ path, label: values.label, isDevelopment: false, passwords }, bench);
  for (const line of describeFolder(values.dir, values.unencrypted)) bench.print(line);
}

function describeFolder(dir: string, isUnencrypted: boolean): readonly string[] {
  const path = (name: string) => join(dir, name);
  return [
    `${path("root-1.key")} and ${path("root-2.key")} say who may sign releases. Take them offline, to two places:`,
    "  either is enough to shut out a stolen signing key; lose both, and your hosts keep this key set for ever.",
    `${path("signing.key")} signs releases. It belongs on the machine that builds them, never on the server.`,
    `${path("*.pub")} and ${path("keys.json")} are public.`,
    ...(isUnencrypted ? ["No secret key is encrypted: whoever reads one can use it."] : []),
    `Next: npm run build:agent -- --production --keys ${dir}`,
  ];
}

/** Asked before a password is: `createKeyFolder` would refuse it only after that. */
async function refuseFullFolder(path: string): Promise<void> {
  let names: readonly string[];
  try {
    names = await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new OperatorError(`${path} cannot be used: ${(error as Error).message}`, { cause: error });
  }
  if (names.length > 0) throw new OperatorError(`${path} holds something already and is left as it is`);
}

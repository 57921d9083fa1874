/** `npm run release -- VERB …`: what a publisher does with keys and signatures. Nothing of it runs on a server or a host. */
import { OperatorError } from "../operator-error.ts";
import { importRelease } from "./import-release.ts";
import { init } from "./init.ts";
import { keygen } from "./keygen.ts";
import { keys } from "./keys.ts";
import { sign } from "./sign-file.ts";
import { systemBench } from "./system-bench.ts";
import { verify } from "./verify-file.ts";
import type { Workbench } from "./workbench.ts";

const USAGE = `Usage: release -- VERB …

  init --dir DIR [--label TEXT]                  make root keys, a signing key and the first key set
  keygen PATH                                    make one more key pair: PATH.key and PATH.pub
  keys --dir DIR                                 show the key set
  keys --dir DIR --root FILE.key CHANGE…         sign the next key set; a CHANGE is
       --add FILE.pub [--label TEXT]             this key signs releases from now on
       --revoke FILE.pub                         nothing that this key signed counts any longer
       --floor N                                 every host refuses releases below sequence N, and takes N
  sign --key FILE.key FILE… [--comment TEXT]     write FILE.minisig
  verify --key FILE.pub FILE…                    check FILE against FILE.minisig
  import DIR [--server URL]                      bring the release in DIR to a server (default http://127.0.0.1:7170)
         [--token-file FILE] [--ca-file FILE]    an admin's token (default data/admin-token); the server's authority

  --password-file FILE  where a password would be asked for (init: --signing-password-file for the signing key's)
  --unencrypted         write secret keys without a password (init, keygen)

All files are minisign's own: minisign signs and verifies them as well.
`;

type Verb = (words: readonly string[], bench: Workbench) => Promise<void>;

const VERBS: Readonly<Record<string, Verb>> = { init, keygen, keys, sign, verify, import: importRelease };

async function main([word, ...words]: readonly string[]): Promise<void> {
  if (word === "help" || word === "--help") {
    process.stdout.write(USAGE);
    return;
  }
  const verb = word !== undefined && Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
  if (verb === undefined)
    throw new OperatorError(`${word === undefined ? "a verb is missing" : `unknown verb ${word}`}\n${USAGE}`, {
      exitStatus: 2,
    });
  await verb(words, systemBench);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`release: ${(error as Error).message}\n`);
  process.exitCode = error instanceof OperatorError ? error.exitStatus : 1;
});

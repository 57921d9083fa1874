/** In whose name a release is built: whose roots it trusts, and who signs its manifest. */
import { access, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePublicKeys } from "../../gen/minisign.ts";
import { verifyManifest } from "../../gen/release-trust.ts";
import { OperatorError } from "../operator-error.ts";
import {
  createKeyFolder,
  encodeRoots,
  readKeyFolder,
  SIGNING_KEY_FILE,
  type KeyFolder,
} from "../release/key-folder.ts";
import { readSecretKey } from "../release/read-key.ts";
import { describeSignedFile, signContent, type SecretKey } from "../release/secret-key.ts";
import type { Workbench } from "../release/workbench.ts";

/** A publisher as a build sees it. */
export interface Publisher {
  readonly folder: KeyFolder;
  /** `undefined` where the key is not at hand: the release is then signed elsewhere. */
  readonly signingKey: SecretKey | undefined;
}

/** The publisher whose keys lie in `path`. *Throws* OperatorError. */
export async function readPublisher(
  path: string,
  passwordFile: string | undefined,
  bench: Workbench,
): Promise<Publisher> {
  const folder = await readKeyFolder(path);
  const keyPath = join(path, SIGNING_KEY_FILE);
  const isAtHand = await access(keyPath).then(
    () => true,
    () => false,
  );
  return { folder, signingKey: isAtHand ? await readSecretKey(keyPath, passwordFile, bench) : undefined };
}

/**
 * The publisher of whoever has none: keys that are made once a checkout, are not
 * encrypted, and say in their key set what they are.
 */
export async function readDevelopmentPublisher(root: string, bench: Workbench): Promise<Publisher> {
  const path = join(root, "dist", "development-keys");
  const order = { path, label: "development key", isDevelopment: true, passwords: undefined };
  try {
    await access(path);
  } catch {
    await createKeyFolder(order, bench).catch((error: unknown) => {
      // Another build made them meanwhile.
      if (!(error instanceof OperatorError)) throw error;
    });
  }
  return readPublisher(path, undefined, bench);
}

/**
 * The signature file of a manifest; its time is the manifest's own, so that the
 * same sources give the same bytes.
 *
 * *Throws* OperatorError when hosts of this publisher would refuse it.
 */
export function signManifest(key: SecretKey, folder: KeyFolder, manifest: Buffer, createdAt: Date): Buffer {
  const signature = signContent(key, manifest, describeSignedFile("manifest.json", createdAt));
  try {
    verifyManifest(manifest, signature, folder.keySet);
    return signature;
  } catch (error) {
    throw new OperatorError(`hosts would refuse this release: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Refuses a folder of releases that stands for another publisher: with other roots
 * beside them, a server would take none of the releases in it any longer.
 *
 * *Throws* OperatorError.
 */
export async function refuseForeignRoots(releasesDir: string, folder: KeyFolder): Promise<void> {
  const path = join(releasesDir, "roots.pub");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return;
  const known = parsePublicKeys(text).map((key) => key.text);
  if (folder.roots.some((root) => known.includes(root.text))) return;
  throw new OperatorError(
    `${path} names other root keys than ${folder.path}: the releases beside it are another publisher's. ` +
      "Build into another folder (--out DIR), or remove that one.",
  );
}

/** Puts the roots where servers look for them. `workDir` is on the same file system. */
export async function writeRoots(releasesDir: string, folder: KeyFolder, workDir: string): Promise<void> {
  const temporary = join(workDir, "roots.pub");
  await writeFile(temporary, encodeRoots(folder.roots));
  await rename(temporary, join(releasesDir, "roots.pub"));
}

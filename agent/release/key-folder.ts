/**
 * The folder that holds a publisher's keys and its key set.
 *
 * `root-1` and `root-2` sign key sets and belong offline; either is enough, so that
 * one may be lost. `signing` signs manifests. A folder without the secret halves
 * still says who is trusted: that is what a build machine needs.
 */
import { mkdir, mkdtemp, readFile, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parsePublicKey, type PublicKey } from "../../gen/minisign.ts";
import { encodeKeySet, verifyKeySet } from "../../gen/release-trust.ts";
import type { KeySet } from "../../gen/rollcall/v1/release_pb.js";
import { OperatorError } from "../operator-error.ts";
import { writeNewFile } from "./file-writing.ts";
import { createFirstKeySet } from "./key-set.ts";
import { encodeSecretKey, SALT_BYTES } from "./secret-key-file.ts";
import {
  createSecretKey,
  describeSignedFile,
  encodePublicKey,
  KEY_ID_BYTES,
  SEED_BYTES,
  signContent,
  type SecretKey,
} from "./secret-key.ts";
import type { Workbench } from "./workbench.ts";

/** What a folder of keys tells. */
export interface KeyFolder {
  readonly path: string;
  readonly roots: readonly PublicKey[];
  readonly keySet: KeySet;
  /** Raw bytes of `keys.json` and of its signature. */
  readonly keys: Buffer;
  readonly keysSignature: Buffer;
}

/** What a new folder of keys is to be. */
export interface KeyFolderOrder {
  readonly path: string;
  /** What the key set calls the signing key. */
  readonly label: string;
  readonly isDevelopment: boolean;
  /** The passwords; secret keys are not encrypted without. */
  readonly passwords: { readonly root: string; readonly signing: string } | undefined;
}

/** The file of the key that signs manifests. */
export const SIGNING_KEY_FILE = "signing.key";
const ROOT_PUBLIC_KEY = /^root-.+\.pub$/;

/**
 * Makes a folder of fresh keys and the first key set, all of it or nothing.
 *
 * *Throws* OperatorError when there is such a folder and it is not empty.
 */
export async function createKeyFolder(order: KeyFolderOrder, bench: Workbench): Promise<void> {
  await mkdir(dirname(order.path), { recursive: true });
  await using owned = new AsyncDisposableStack();
  const folder = await mkdtemp(join(dirname(order.path), `.${basename(order.path)}-`));
  owned.defer(() => rm(folder, { recursive: true, force: true }));
  // One after another: an encryption takes a gigabyte.
  const root = await writeKey(folder, "root-1", order.passwords?.root, bench);
  await writeKey(folder, "root-2", order.passwords?.root, bench);
  const signingKey = await writeKey(folder, "signing", order.passwords?.signing, bench);
  const now = bench.now();
  const keySet = createFirstKeySet({ key: signingKey.publicKey, label: order.label }, now, order.isDevelopment);
  const { keys, signature } = signKeySet(keySet, root, now);
  await writeNewFile(join(folder, "keys.json"), keys, "everybody");
  await writeNewFile(join(folder, "keys.json.minisig"), signature, "everybody");
  try {
    await rename(folder, order.path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOTDIR") throw error;
    throw new OperatorError(`${order.path} holds something already and is left as it is`, { cause: error });
  }
}

/** Makes a key pair of random bytes. */
export function createRandomKey(bench: Workbench): SecretKey {
  return createSecretKey(bench.randomBytes(KEY_ID_BYTES), bench.randomBytes(SEED_BYTES));
}

/** Writes the two files of a key pair, encrypted if there is a password. *Throws* OperatorError when one exists. */
export async function writeKeyPair(
  pathWithoutEnding: string,
  key: SecretKey,
  password: string | undefined,
  bench: Workbench,
): Promise<void> {
  const salt = bench.randomBytes(SALT_BYTES);
  const encryption = password === undefined ? undefined : { password, salt, cost: bench.passwordCost };
  const secret = await encodeSecretKey(key, encryption);
  await writeNewFile(`${pathWithoutEnding}.key`, secret, "owner");
  await writeNewFile(`${pathWithoutEnding}.pub`, encodePublicKey(key.publicKey), "everybody");
}

/** The bytes of a key set and their signature by a root key. */
export function signKeySet(
  keySet: KeySet,
  root: SecretKey,
  signedAt: Date,
): { readonly keys: Buffer; readonly signature: Buffer } {
  const keys = encodeKeySet(keySet);
  return { keys, signature: signContent(root, keys, describeSignedFile("keys.json", signedAt)) };
}

/** Reads a folder of keys. *Throws* OperatorError that says what is missing or wrong. */
export async function readKeyFolder(path: string): Promise<KeyFolder> {
  try {
    const names = (await readdir(path)).filter((name) => ROOT_PUBLIC_KEY.test(name)).toSorted();
    if (names.length === 0) throw new Error("it holds no root-*.pub");
    const roots = await Promise.all(
      names.map(async (name) => parsePublicKey(await readFile(join(path, name), "utf8"))),
    );
    const keys = await readFile(join(path, "keys.json"));
    const keysSignature = await readFile(join(path, "keys.json.minisig"));
    return { path, roots, keySet: verifyKeySet(keys, keysSignature, roots), keys, keysSignature };
  } catch (error) {
    throw new OperatorError(
      `${path} is no folder of keys as \`release -- init\` makes it: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

/** What stands in `roots.pub`, for servers. */
export function encodeRoots(roots: readonly PublicKey[]): string {
  return roots.map(encodePublicKey).join("");
}

async function writeKey(
  folder: string,
  name: string,
  password: string | undefined,
  bench: Workbench,
): Promise<SecretKey> {
  const key = createRandomKey(bench);
  await writeKeyPair(join(folder, name), key, password, bench);
  return key;
}

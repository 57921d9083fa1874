/** Files on this host that blocks of a release may be taken from. */
import { constants, type BigIntStats } from "node:fs";
import { lstat, open, type FileHandle } from "node:fs/promises";
import { digestBlocks, type BlockDigest } from "./block-digests.ts";
import { digestOpenFile } from "./file-digest.ts";
import { systemErrorCode } from "./system-error.ts";

/** An open file and its blocks. */
export interface BlockSource {
  readonly file: FileHandle;
  readonly digests: readonly BlockDigest[];
}

/** What a file's blocks were, and by what to tell that it is the same file still. */
export interface BlockStock {
  readonly blockSizeBytes: number;
  readonly identity: string;
  readonly digests: readonly BlockDigest[];
  /** Of the whole file, in lower-case hex. */
  readonly sha256: string;
}

const { O_NOFOLLOW, O_NONBLOCK } = constants;
const WRITABLE_BY_OTHERS = 0o022n;

/** Digests a file that nobody waits for yet. *Shape*: `undefined` when the system refused. */
export async function takeStock(path: string, blockSizeBytes: number): Promise<BlockStock | undefined> {
  return await tryOpen(path, constants.O_RDONLY, async (file) => {
    const identity = identify(await file.stat({ bigint: true }));
    const digests = await digestBlocks(file, blockSizeBytes);
    const { sha256 } = await digestOpenFile(file);
    await file.close();
    return { blockSizeBytes, identity, digests, sha256 };
  });
}

/** Whether what is known of a file still is what stands at `path`. Never throws. */
export function isUnchanged(path: string, stock: BlockStock): Promise<boolean> {
  return lstat(path, { bigint: true }).then(
    (stats) => identify(stats) === stock.identity,
    () => false,
  );
}

/**
 * Opens the running binary. What is known of it counts while it is the same file, unchanged.
 *
 * *Shape*: `undefined` when the system refused, which must not stop an update that can be fetched.
 */
export async function openBinary(
  path: string,
  blockSizeBytes: number,
  stock: BlockStock | undefined,
): Promise<BlockSource | undefined> {
  return await tryOpen(path, constants.O_RDONLY, async (file) => {
    const stats = await file.stat({ bigint: true });
    const isKnown = stock?.blockSizeBytes === blockSizeBytes && stock.identity === identify(stats);
    return { file, digests: isKnown ? stock.digests : await digestBlocks(file, blockSizeBytes) };
  });
}

/**
 * Opens what an earlier attempt left, for reading and writing, where nobody but this
 * user can have it open for writing or keeps it under another name.
 *
 * *Shape*: `undefined` when there is no such file or the system refused.
 */
export async function openLeftover(path: string, blockSizeBytes: number): Promise<BlockSource | undefined> {
  return await tryOpen(path, constants.O_RDWR, async (file) => {
    const { uid, nlink, mode } = await file.stat({ bigint: true });
    const isOwn = Number(uid) === process.geteuid?.() && nlink === 1n && (mode & WRITABLE_BY_OTHERS) === 0n;
    if (isOwn) return { file, digests: await digestBlocks(file, blockSizeBytes) };
    await file.close();
    return undefined;
  });
}

async function tryOpen<T>(
  path: string,
  access: number,
  use: (file: FileHandle) => Promise<T | undefined>,
): Promise<T | undefined> {
  let file: FileHandle | undefined;
  try {
    // A pipe of that name must not make this wait.
    file = await open(path, access | O_NOFOLLOW | O_NONBLOCK);
    if ((await file.stat()).isFile()) return await use(file);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
  }
  await closeQuietly(file);
  return undefined;
}

/** Closes a file whose content matters no more. */
export async function closeQuietly(file: FileHandle | undefined): Promise<void> {
  await file?.close().catch(() => undefined);
}

function identify({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}

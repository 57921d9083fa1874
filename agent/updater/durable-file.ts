/**
 * What "durable" means here: the bytes reach the disk before the name does
 * (fsync, then rename), and the name before anything that relies on it (fsync of
 * the folder). Every call is awaited on the thread pool; none blocks the loop.
 */
import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { hasErrorCode } from "./system-error.ts";

const IS_WINDOWS = process.platform === "win32";

/** How a file is opened for its bytes to be made durable: Windows flushes only for who may write. */
export const SYNC_ACCESS = IS_WINDOWS ? constants.O_RDWR : constants.O_RDONLY;

/** Makes the names in a folder durable. Windows knows no such call: NTFS keeps the order of names in its own journal. */
export async function syncFolder(path: string): Promise<void> {
  if (IS_WINDOWS) return;
  await using folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}

/** Makes the bytes of a file durable. Does not follow a symbolic link. */
export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, SYNC_ACCESS | constants.O_NOFOLLOW);
  await file.sync();
}

/** Deletes a file. False when there was none. */
export async function removeIfPresent(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** Writes a new 0600 file and makes its bytes durable, not yet its name. A leftover of that name is deleted first. */
export async function writeNewFile(path: string, text: string): Promise<void> {
  await removeIfPresent(path);
  await using file = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  await file.writeFile(text);
  await file.sync();
}

/** Puts `text` at `path` by way of `temporaryPath` in the same folder: readers see the old bytes or all of the new. */
export async function replaceDurably(path: string, temporaryPath: string, folder: string, text: string): Promise<void> {
  await writeNewFile(temporaryPath, text);
  await rename(temporaryPath, path);
  await syncFolder(folder);
}

/**
 * Reads a short text file without following a symbolic link.
 *
 * *Shape*: `undefined` when there is no such regular file or it has more than `maxBytes`.
 */
export async function readShortFile(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) return undefined;
    const buffer = Buffer.alloc(maxBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return bytesRead > maxBytes ? undefined : buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "ELOOP")) return undefined;
    throw error;
  }
}

/**
 * Asks, before a byte is fetched, what would stop the swap later: a folder that
 * cannot be written, that others can write, that runs no programs, or that is
 * too full; a file for other machines. Changes nothing.
 */
import { constants } from "node:fs";
import { access, lstat, readFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { isWriteRefusal, noSpaceFailure, readBytesFree, readOnlyFailure } from "./disk-failure.ts";
import { findMount } from "./mount-table.ts";
import { printablePath } from "./one-line.ts";
import { hasErrorCode } from "./system-error.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";
import type { Artifact } from "./update-platform.ts";

/** Room for names, journal and verdict beside the new binary. */
const MARGIN_BYTES = 1024 * 1024;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** Throws UpdateError that says what is in the way of replacing the binary here. */
export async function checkPreflight(
  paths: UpdatePaths,
  platform: string,
  artifact: Artifact,
  reserveBytes: number,
): Promise<void> {
  checkPlatform(platform, artifact);
  await checkWritable(paths.folder);
  await checkWritable(paths.stateDir);
  const folder = await realpath(paths.folder);
  await checkOwnership(paths, folder);
  checkMount(await readFile("/proc/self/mountinfo", "utf8"), folder);
  await checkSpace(paths, BigInt(artifact.sizeBytes) + BigInt(reserveBytes) + BigInt(MARGIN_BYTES));
}

function checkPlatform(platform: string, artifact: Artifact): void {
  if (artifact.platform === platform) return;
  throw new UpdateError(JobReason.PREFLIGHT_WRONG_PLATFORM, {
    platform,
    artifactPlatform: artifact.platform,
    detail: `this host is ${platform}, the file is for ${artifact.platform}`,
  });
}

async function checkWritable(folder: string): Promise<void> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (isWriteRefusal(error)) throw readOnlyFailure(folder, error);
    throw error;
  }
}

/**
 * Who can write the folder, or rename one above it, decides what runs here whatever was signed.
 * A sticky parent such as /tmp lets others add names but not move ours.
 */
async function checkOwnership(paths: UpdatePaths, realFolder: string): Promise<void> {
  if (!(await lstat(paths.binary)).isFile())
    throw unsafe(paths.binary, `${printablePath(paths.binary)} is not a regular file`);
  for (let folder = realFolder; ; folder = dirname(folder)) {
    const { mode } = await stat(folder);
    const isOpen = (mode & WRITABLE_BY_OTHERS) !== 0;
    if (isOpen && (folder === realFolder || (mode & STICKY) === 0)) {
      throw unsafe(
        folder,
        `${printablePath(folder)} may be written by other users (mode ${(mode & 0o7777).toString(8)})`,
      );
    }
    if (folder === dirname(folder)) return;
  }
}

function unsafe(path: string, detail: string): UpdateError {
  return new UpdateError(JobReason.SWAP_FAILED, { path: printablePath(path), detail: detail.slice(0, 500) });
}

function checkMount(mountinfo: string, folder: string): void {
  if (findMount(mountinfo, folder)?.options.has("noexec") !== true) return;
  const detail = `${printablePath(folder)} does not allow programs to run (mounted noexec)`;
  throw new UpdateError(JobReason.PREFLIGHT_NOT_EXECUTABLE, {
    path: printablePath(folder),
    detail: detail.slice(0, 500),
  });
}

async function checkSpace(paths: UpdatePaths, bytesNeeded: bigint): Promise<void> {
  const bytesFree = (await readBytesFree(paths.folder)) + (await countLeftoverBytes(paths.staged));
  if (bytesFree < bytesNeeded) throw noSpaceFailure(paths.folder, bytesFree, bytesNeeded);
}

/** What an earlier attempt left becomes the new file or is deleted before it is written, so its space is as good as free. */
async function countLeftoverBytes(path: string): Promise<bigint> {
  try {
    // stat(2): st_blocks counts units of 512 bytes whatever the file system's own are.
    const { blocks, nlink } = await lstat(path, { bigint: true });
    // Under another name it would stay.
    return nlink === 1n ? blocks * 512n : 0n;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return 0n;
    throw error;
  }
}

import { constants } from "node:fs";
import { access, lstat, readFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { isWriteRefusal, readOnlyFailure } from "./disk-failure.ts";
import { findMount } from "./mount-table.ts";
import { printablePath } from "./one-line.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** Throws UpdateError (preflight_read_only, preflight_not_executable, swap_failed) when the folders are in the way. */
export async function checkLinuxFolders(paths: UpdatePaths): Promise<void> {
  await checkWritable(paths.folder);
  await checkWritable(paths.stateDir);
  const folder = await realpath(paths.folder);
  await checkOwnership(paths, folder);
  checkMount(await readFile("/proc/self/mountinfo", "utf8"), folder);
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

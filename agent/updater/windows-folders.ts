import { lstat } from "node:fs/promises";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { isWriteRefusal, readOnlyFailure } from "./disk-failure.ts";
import { removeIfPresent, writeNewFile } from "./durable-file.ts";
import { printablePath } from "./one-line.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";

/**
 * Throws UpdateError (preflight_read_only, swap_failed) unless files can be made beside the binary and in the state
 * directory. Who else may write there only `install.cmd` sees to: Node reads no access control lists.
 */
export async function checkWindowsFolders(paths: UpdatePaths): Promise<void> {
  if (!(await lstat(paths.binary)).isFile()) {
    const path = printablePath(paths.binary);
    throw new UpdateError(JobReason.SWAP_FAILED, { path, detail: `${path} is not a regular file`.slice(0, 500) });
  }
  await tryToWrite(paths.folder, paths.oldTemporary);
  await tryToWrite(paths.stateDir, paths.journalTemporary);
}

/** Asking would not do: access(2) knows no access control lists either. */
async function tryToWrite(folder: string, path: string): Promise<void> {
  try {
    await writeNewFile(path, "");
    await removeIfPresent(path);
  } catch (error) {
    if (isWriteRefusal(error)) throw readOnlyFailure(folder, error);
    throw error;
  }
}

import { constants } from "node:fs";
import { copyFile, link } from "node:fs/promises";
import { removeIfPresent, syncFile } from "./durable-file.ts";
import { hasErrorCode } from "./system-error.ts";

/** A second name for a file, or where the file system or its rules refuse that, a durable copy. `target` is replaced. */
export async function linkOrCopy(source: string, target: string): Promise<void> {
  await removeIfPresent(target);
  try {
    await link(source, target);
    return;
  } catch (error) {
    if (!hasErrorCode(error, "EPERM", "EXDEV", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "ENOSYS")) throw error;
  }
  await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  await syncFile(target);
}

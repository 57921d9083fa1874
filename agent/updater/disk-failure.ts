import { statfs } from "node:fs/promises";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { printablePath } from "./one-line.ts";
import { hasErrorCode, systemErrorCode } from "./system-error.ts";
import { UpdateError } from "./update-error.ts";

/** The bytes that this process may still write below `folder`. */
export async function readBytesFree(folder: string): Promise<bigint> {
  const { bavail, bsize } = await statfs(folder, { bigint: true });
  return bavail * bsize;
}

/** True for what the system says of a folder that this process may not write to. */
export function isWriteRefusal(error: unknown): boolean {
  return hasErrorCode(error, "EROFS", "EACCES", "EPERM", "ENOENT", "ENOTDIR");
}

/** A folder that cannot be written to, in the words of the server. */
export function readOnlyFailure(folder: string, cause: unknown): UpdateError {
  const code = systemErrorCode(cause);
  return new UpdateError(
    JobReason.PREFLIGHT_READ_ONLY,
    {
      path: printablePath(folder),
      errorCode: code,
      detail: `the agent cannot write to ${printablePath(folder)} (${code ?? "unknown error"})`.slice(0, 500),
    },
    cause,
  );
}

/** A disk that is too full, with how full. */
export function noSpaceFailure(folder: string, bytesFree: bigint, bytesNeeded: bigint, cause?: unknown): UpdateError {
  return new UpdateError(
    JobReason.PREFLIGHT_NO_SPACE,
    {
      path: printablePath(folder),
      bytesFree,
      bytesNeeded,
      errorCode: systemErrorCode(cause) ?? "ENOSPC",
      detail: `${bytesFree} bytes are free under ${printablePath(folder)}, ${bytesNeeded} are needed`.slice(0, 500),
    },
    cause,
  );
}

/**
 * What the disk said while the new binary was written or read back: download_failed, except that a full disk and
 * a folder without write permission are told as what they are.
 */
export async function stageFailure(
  stagedPath: string,
  folder: string,
  bytesNeeded: bigint,
  cause: unknown,
): Promise<UpdateError> {
  if (cause instanceof UpdateError) return cause;
  if (hasErrorCode(cause, "EROFS", "EACCES")) return readOnlyFailure(folder, cause);
  if (hasErrorCode(cause, "ENOSPC", "EDQUOT")) {
    const bytesFree = await readBytesFree(folder).catch(() => 0n);
    return noSpaceFailure(folder, bytesFree, bytesNeeded, cause);
  }
  const code = systemErrorCode(cause);
  if (code === undefined) throw cause;
  const detail = `${printablePath(stagedPath)} could not be written (${code})`;
  return new UpdateError(
    JobReason.DOWNLOAD_FAILED,
    { path: printablePath(stagedPath), errorCode: code, detail: detail.slice(0, 500) },
    cause,
  );
}

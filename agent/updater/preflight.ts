/**
 * Asks, before a byte is fetched, what would stop the swap later: a folder that
 * cannot be written, that others can write, that runs no programs, or that is
 * too full; a file for other machines. Changes nothing.
 */
import { lstat } from "node:fs/promises";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { noSpaceFailure, readBytesFree } from "./disk-failure.ts";
import { hasErrorCode } from "./system-error.ts";
import type { SystemRules } from "./system-rules.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";
import type { Artifact } from "./update-platform.ts";

/** Room for names, journal and verdict beside the new binary. */
const MARGIN_BYTES = 1024 * 1024;

/** Throws UpdateError that says what is in the way of replacing the binary here. */
export async function checkPreflight(
  paths: UpdatePaths,
  rules: SystemRules,
  artifact: Artifact,
  reserveBytes: number,
): Promise<void> {
  checkPlatform(rules.platform, artifact);
  await rules.checkFolders(paths);
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

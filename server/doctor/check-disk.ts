import { statfs } from "node:fs/promises";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";
import { formatBytes } from "../../gen/words/quantities.ts";
import type { Config } from "../config.ts";

/** *Units*: bytes. A release is a tenth of that a platform. */
const LITTLE_BYTES = 2_000_000_000;
/** PostgreSQL stops where it cannot write its log. */
const TOO_LITTLE_BYTES = 200_000_000;

/** Is there room for database and releases? */
export async function checkDisk({ dataDir, releasesDir }: Config): Promise<readonly Finding[]> {
  return [await checkFolder("disk of the data", dataDir), await checkFolder("disk of releases", releasesDir)];
}

async function checkFolder(check: string, folder: string): Promise<Finding> {
  try {
    const { bavail, bsize, ffree, files } = await statfs(folder);
    return judgeRoom(check, folder, { freeBytes: bavail * bsize, freeFiles: files === 0 ? undefined : ffree });
  } catch (error) {
    return fail(check, `${(error as Error).message}.`, `Make ${folder}, or set where it is.`);
  }
}

/** What a file system has left. `freeFiles` is `undefined` where it does not count them. */
export function judgeRoom(
  check: string,
  folder: string,
  room: { readonly freeBytes: number; readonly freeFiles: number | undefined },
): Finding {
  const told = `${formatBytes(room.freeBytes)} are free under ${folder}.`;
  if (room.freeFiles !== undefined && room.freeFiles < 1000)
    return fail(
      check,
      `Only ${room.freeFiles} more files can be made under ${folder}.`,
      "Remove files there that nobody needs.",
    );
  if (room.freeBytes < TOO_LITTLE_BYTES)
    return fail(check, told, "Free space there now: the database stops where it cannot write.");
  return room.freeBytes < LITTLE_BYTES
    ? warn(check, told, "Free space there, or remove releases that no host needs.")
    : ok(check, told);
}

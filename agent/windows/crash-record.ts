/** How often the new version of one update crashed. Not durable: at worst a crash is counted anew. */
import { rename } from "node:fs/promises";
import { readShortFile, writeNewFile } from "../updater/durable-file.ts";
import type { UpdatePaths } from "../updater/update-paths.ts";

const MAX_RECORD_BYTES = 1024;
const RECORD_PATTERN = /^job ([0-9A-Za-z.+_-]{1,128})\ncrashes ([1-9][0-9]{0,5})\nend\n$/;

/** Counts a crash, and tells how many there were with it. */
export async function countCrash(paths: UpdatePaths, jobId: string): Promise<number> {
  const crashes = (await readCrashes(paths, jobId)) + 1;
  const temporary = `${paths.guardRecord}.tmp`;
  await writeNewFile(temporary, `job ${jobId}\ncrashes ${crashes}\nend\n`);
  await rename(temporary, paths.guardRecord);
  return crashes;
}

async function readCrashes(paths: UpdatePaths, jobId: string): Promise<number> {
  const [, job, crashes] = RECORD_PATTERN.exec((await readShortFile(paths.guardRecord, MAX_RECORD_BYTES)) ?? "") ?? [];
  return job === jobId ? Number(crashes) : 0;
}

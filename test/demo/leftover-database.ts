/** Ends and deletes the database of a server that is gone, however that server ended. */
import { readFile, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../agent/clock.ts";

const LOOK_AGAIN_MS = 50;
const END_LIMIT_MS = 10_000;

/** A server run by root keeps its cluster outside of the data directory and leaves a link to it. */
export async function removeLeftoverDatabase(dataDir: string, clock: Clock): Promise<void> {
  const home = await realpath(join(dataDir, "postgres")).catch(() => undefined);
  if (home === undefined) return;
  const folder = join(home, "data");
  const endMs = clock.monotonicMs() + END_LIMIT_MS;
  for (;;) {
    const processId = await findPostmaster(folder);
    if (processId === undefined) break;
    // Its fast shutdown; then the hard way, for a server that nobody needs any more.
    process.kill(processId, clock.monotonicMs() < endMs ? "SIGINT" : "SIGKILL");
    await clock.sleep(LOOK_AGAIN_MS);
  }
  await rm(home, { recursive: true, force: true });
}

/** The process that serves a folder. A process id alone may have been given to another process since. */
async function findPostmaster(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, "postmaster.pid"), "utf8").catch(() => "");
  const processId = Number.parseInt(text, 10);
  if (!(processId > 0)) return undefined;
  const servedFolder = await readlink(`/proc/${processId}/cwd`).catch(() => undefined);
  return servedFolder === folder ? processId : undefined;
}

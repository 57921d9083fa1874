/**
 * Folders that get their real name only when they are whole. Until then the name
 * tells which process makes them, so that the next one can tell work from rubbish.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { statusOf } from "./file-status.ts";

/** Makes an empty folder beside `path`, to be renamed to it. Deletes those that dead processes left there. */
export async function makeUnfinished(path: string): Promise<string> {
  const prefix = `${basename(path)}.unfinished-`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    const maker = name.slice(prefix.length).split("-")[0];
    if ((await statusOf(`/proc/${maker}`)) !== undefined) continue;
    // A child of its maker may have outlived it and still be writing.
    await rm(join(dirname(path), name), { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
  return await mkdtemp(`${path}.unfinished-${process.pid}-`);
}

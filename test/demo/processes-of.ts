import { readdir, readFile, readlink } from "node:fs/promises";

/** Ids of the processes that run a file below `folder`, work in it or name it on their command line. */
export async function findProcessesOf(folder: string): Promise<readonly number[]> {
  const ids = (await readdir("/proc")).map(Number).filter((id) => id > 0);
  const found = await Promise.all(ids.map(async (id) => ((await describe(id)).includes(folder) ? id : 0)));
  return found.filter((id) => id > 0);
}

async function describe(processId: number): Promise<string> {
  const proc = `/proc/${processId}`;
  const facts = await Promise.all([
    readlink(`${proc}/exe`).catch(() => ""),
    readlink(`${proc}/cwd`).catch(() => ""),
    readFile(`${proc}/cmdline`, "utf8").catch(() => ""),
  ]);
  return facts.join("\n");
}

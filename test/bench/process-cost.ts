/** What a running process costs, by Linux's own books. */
import { readdir, readFile, readlink } from "node:fs/promises";

/** *Units*: milliseconds a tick of `/proc/PID/stat`. *Source*: proc_pid_stat(5); USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** One look at a process. */
export interface ProcessCost {
  /** *Units*: bytes of memory that are its alone and stand in no file. */
  readonly anonymousBytes: number;
  /** *Units*: bytes of memory that it holds, files included. */
  readonly residentBytes: number;
  /** *Units*: milliseconds of processor time since its start, all threads, in steps of 10. */
  readonly cpuMs: number;
  readonly parentId: number;
}

/** The process that runs the file at `path`; `undefined` while there is none. */
export async function findProcess(path: string): Promise<number | undefined> {
  for (const name of await readdir("/proc")) {
    const processId = Number(name);
    if (processId > 0 && (await readlink(`/proc/${name}/exe`).catch(() => "")) === path) return processId;
  }
  return undefined;
}

/** `undefined` once the process is gone. */
export async function readCost(processId: number): Promise<ProcessCost | undefined> {
  const folder = `/proc/${processId}`;
  const read = (name: string): Promise<string> => readFile(`${folder}/${name}`, "utf8").catch(() => "");
  const [status, stat] = await Promise.all([read("status"), read("stat")]);
  const anonymousKib = /^RssAnon:\s+([0-9]+) kB$/m.exec(status)?.[1];
  const residentKib = /^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1];
  // The program's name is in parentheses and may hold blanks: fields are counted after it, utime and stime as 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system] = [fields[11], fields[12]];
  if (anonymousKib === undefined || residentKib === undefined || user === undefined) return undefined;
  return {
    anonymousBytes: Number(anonymousKib) * 1024,
    residentBytes: Number(residentKib) * 1024,
    cpuMs: (Number(user) + Number(system)) * TICK_MS,
    parentId: Number(fields[1]),
  };
}

/**
 * Processor time of a process and of all its children, those that ended included.
 *
 * *Units*: milliseconds.
 */
export async function readFamilyCpuMs(processId: number): Promise<number> {
  const stat = await readFile(`/proc/${processId}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime, stime, cutime, cstime: the latter two are of children that ended and were waited for.
  const ownMs = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]) * TICK_MS, 0);
  const names = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const costs = await Promise.all(names.map((name) => readCost(Number(name))));
  return costs.reduce((sum, cost) => sum + (cost?.parentId === processId ? cost.cpuMs : 0), ownMs);
}

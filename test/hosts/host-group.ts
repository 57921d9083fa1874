/** The control group that holds all processes of one host, so that they can be ended as one. */
import { existsSync, watch } from "node:fs";
import { readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { join } from "node:path";

const PREFIX = "rollcall-test";

/** A name that no other host of this machine has, and that tells which process it belongs to. */
export function hostGroupName(host: string): string {
  return `${PREFIX}-${process.pid}-${host}`;
}

/** Ends whatever is left in a host's group, and deletes the group. */
export async function removeHostGroup(name: string): Promise<void> {
  const group = join(findRoot(), name);
  await writeFile(join(group, "cgroup.kill"), "1");
  await untilEmpty(join(group, "cgroup.events"));
  const entries = await readdir(group, { recursive: true, withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const folder of [...folders, group].toSorted((left, right) => right.length - left.length)) await rmdir(folder);
}

/** Ends hosts whose test was killed: an init survives that. */
export async function removeAbandonedHosts(): Promise<void> {
  for (const name of await readdir(findRoot())) {
    const [, pid] = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await removeHostGroup(name);
  }
}

/** The processes of a host's unit, as this machine counts them. */
export async function listUnitProcesses(group: string, unit: string): Promise<readonly number[]> {
  // systemd-nspawn keeps what it runs apart from itself.
  const text = await readFile(join(findRoot(), group, "payload", "system.slice", unit, "cgroup.procs"), "utf8");
  return text.split("\n").filter(Boolean).map(Number);
}

/** Where this machine has version 2 of control groups. */
function findRoot(): string {
  const beside = "/sys/fs/cgroup/unified";
  return existsSync(beside) ? beside : "/sys/fs/cgroup";
}

/** *Source*: Linux, cgroup-v2.rst: a change of `populated` is told as a modification of the file. */
async function untilEmpty(events: string): Promise<void> {
  const watcher = watch(events);
  try {
    // Begins to wait before it looks, else a change in between goes unseen.
    for (let next = once(watcher, "change"); ; next = once(watcher, "change")) {
      if ((await readFile(events, "utf8")).includes("populated 0")) return;
      await next;
    }
  } finally {
    watcher.close();
  }
}

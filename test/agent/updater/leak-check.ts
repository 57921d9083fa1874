import { readFile, readdir, readlink } from "node:fs/promises";

/** What this process still holds that an update should have let go: files opened by name, child processes. */
export async function findLeaks(pathPart: string): Promise<readonly string[]> {
  const leaks: string[] = [];
  for (const descriptor of await readdir("/proc/self/fd")) {
    const target = await readlink(`/proc/self/fd/${descriptor}`).catch(() => "");
    if (target.includes(pathPart)) leaks.push(`file ${target}`);
  }
  for (const thread of await readdir("/proc/self/task")) {
    const children = await readFile(`/proc/self/task/${thread}/children`, "utf8").catch(() => "");
    for (const child of children.split(" ").filter(Boolean)) {
      const command = await readFile(`/proc/${child}/cmdline`, "utf8").catch(() => "");
      if (command.includes(pathPart)) leaks.push(`process ${child} ${command}`);
    }
  }
  return leaks;
}

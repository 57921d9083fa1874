import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SystemdHost } from "./systemd-host.ts";

/** The id of the one system user that a host of these tests gets. */
const USER_ID = 990;

/** Before the host boots: a system user with a group of the same name. */
export async function addUser(host: SystemdHost, name: string): Promise<void> {
  const lines: Readonly<Record<string, string>> = {
    passwd: `${name}:x:${USER_ID}:${USER_ID}::/nonexistent:/usr/sbin/nologin\n`,
    group: `${name}:x:${USER_ID}:\n`,
  };
  await mkdir(host.pathBeforeBoot("/etc"), { recursive: true });
  for (const [file, line] of Object.entries(lines)) {
    const text = await readFile(join(host.root, "etc", file), "utf8");
    await writeFile(host.pathBeforeBoot(join("/etc", file)), text + line);
  }
}

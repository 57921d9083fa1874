/** Puts an agent on a host the way a person does: by the line that the server hands out. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { updatePaths } from "../../agent/updater/update-paths.ts";
import type { RunEnd } from "../faults/strace-plan.ts";
import type { SystemdHost } from "./systemd-host.ts";

/** Where the units expect everything. */
export const AGENT_PATHS = updatePaths("/opt/rollcall/bin/rollcall-agent", "/var/lib/rollcall-agent");

/** Runs the line on a running host, for this version. */
export function installAgent(host: SystemdHost, line: string, version: string): Promise<RunEnd> {
  return host.execWith({ ROLLCALL_VERSION: version }, "sh", "-c", line);
}

/** Before the host boots: a change to the agent's unit that an operator made. */
export async function writeDropIn(host: SystemdHost, text: string): Promise<void> {
  const folder = host.pathBeforeBoot("/etc/systemd/system/rollcall-agent.service.d");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "operator.conf"), text);
}

/** Puts an agent on a host the way a person does: by the line that the server hands out. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { updatePaths } from "../../agent/updater/update-paths.ts";
import type { RunEnd } from "../faults/strace-plan.ts";
import type { SystemdHost } from "./systemd-host.ts";

/** What runs the agent. */
export const AGENT_UNIT = "rollcall-agent.service";

/** What runs its guard. */
export const GUARD_UNIT = "rollcall-agent-guard.service";

/** Where the units expect everything. */
export const AGENT_PATHS = updatePaths("/opt/rollcall/bin/rollcall-agent", "/var/lib/rollcall-agent");

/** Runs the line on a running host, for this version. */
export function installAgent(host: SystemdHost, line: string, version: string): Promise<RunEnd> {
  return host.execWith({ ROLLCALL_VERSION: version }, "sh", "-c", line);
}

/** Before the host boots: a change to a unit that an operator made. */
export async function writeDropIn(host: SystemdHost, unit: string, text: string): Promise<void> {
  const folder = host.pathBeforeBoot(`/etc/systemd/system/${unit}.d`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "operator.conf"), text);
}

/** Puts an agent on a host the way an installer does: user, folders, guard and units as shipped, enrolled, started. */
import { chown, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { updatePaths } from "../../agent/updater/update-paths.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { addUser, USER_ID } from "./host-users.ts";
import type { SystemdHost } from "./systemd-host.ts";

/** Where the units expect everything. */
export const AGENT_PATHS = updatePaths("/opt/rollcall/bin/rollcall-agent", "/var/lib/rollcall-agent");

const CONFIG = "/etc/rollcall/agent.json";
const GUARD = "/opt/rollcall/libexec/rollcall-agent-guard";
const UNITS = "/etc/systemd/system";

/** What is installed, and whose. */
export interface Installation {
  readonly binaryPath: string;
  readonly server: { readonly agents: string; readonly caPem: string };
  readonly hostname: string;
  /** The agent's unit, changed. */
  readonly changeUnit?: (text: string) => string;
}

/** Before the host boots: all files. */
export async function installAgent(host: SystemdHost, order: Installation): Promise<void> {
  const { binaryPath, server, hostname, changeUnit = (text) => text } = order;
  const at = (path: string): string => host.pathBeforeBoot(path);
  await addUser(host, "rollcall");
  for (const folder of [dirname(GUARD), "/etc/rollcall", join(UNITS, "multi-user.target.wants")])
    await mkdir(at(folder), { recursive: true, mode: 0o755 });
  for (const [folder, mode] of [
    [AGENT_PATHS.folder, 0o755],
    [AGENT_PATHS.stateDir, 0o700],
  ] as const) {
    await mkdir(at(folder), { recursive: true, mode });
    await chown(at(folder), USER_ID, USER_ID);
  }
  await copyFile(binaryPath, at(AGENT_PATHS.binary));
  await chown(at(AGENT_PATHS.binary), USER_ID, USER_ID);
  await copyFile(join(repositoryRoot, "agent", "guard", "guard.sh"), at(GUARD));
  await writeFile(at(CONFIG), JSON.stringify({ servers: [server.agents], ca_pem: server.caPem, hostname }));
  for (const unit of ["rollcall-agent.service", "rollcall-agent-guard.service"]) {
    const text = await readFile(join(repositoryRoot, "agent", "units", unit), "utf8");
    await writeFile(at(join(UNITS, unit)), unit === "rollcall-agent.service" ? changeUnit(text) : text);
  }
  const wanted = at(join(UNITS, "multi-user.target.wants", "rollcall-agent-guard.service"));
  await symlink("../rollcall-agent-guard.service", wanted);
}

/** On the running host: its identity, and then the agent, now and at every boot. */
export async function enrolAndStart(host: SystemdHost, token: string): Promise<void> {
  const enrol = ["enroll", "--config", CONFIG, "--state-dir", AGENT_PATHS.stateDir];
  const asUser = ["setpriv", `--reuid=${USER_ID}`, `--regid=${USER_ID}`, "--clear-groups"];
  const end = await host.execWith({ ROLLCALL_TOKEN: token }, ...asUser, AGENT_PATHS.binary, ...enrol);
  if (end.status !== 0) throw new Error(`enrolling ${host.name}: ${end.stdout}${end.stderr}`);
  await host.demand("systemctl", "enable", "--now", "rollcall-agent.service");
}

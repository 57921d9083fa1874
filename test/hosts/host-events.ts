/** Moments on a running host. */
import { AGENT_UNIT } from "./agent-host.ts";
import type { SystemdHost } from "./systemd-host.ts";

/** Resolves once a process of this version runs as the host's agent. */
export async function untilStarted(host: SystemdHost, version: string): Promise<void> {
  await untilLogged(host, AGENT_UNIT, `"event":"started","version":"${version}"`);
}

/** Resolves once the host's agent was connected this often since the machine was switched on. */
export async function untilConnected(host: SystemdHost, times: number): Promise<void> {
  const follow = `journalctl --follow --lines=all --output=cat --unit=${AGENT_UNIT}`;
  await host.demand("bash", "-c", `grep -m ${times} -F -e '"event":"connected"' <(exec ${follow})`);
}

/** Resolves once a unit has said this. *Throws* Error with its log when it fails before. */
export async function untilLogged(host: SystemdHost, unit: string, text: string): Promise<void> {
  const follow = `journalctl --follow --lines=all --output=cat --unit=${unit}`;
  // Not a pipe: its reader would end, its writer would not.
  const found = await host.demand("bash", "-c", `grep -m 1 -F -e '${text}' -e 'Failed with result' <(exec ${follow})`);
  if (found.includes(text)) return;
  throw new Error(await host.demand("journalctl", "--no-pager", "--output=cat", `--unit=${unit}`));
}

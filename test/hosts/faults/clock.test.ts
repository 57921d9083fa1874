/** The wall clock of agent and guard jumps a day right after the swap; what they measure time by does not. */
import { writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { AGENT_UNIT, GUARD_UNIT } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import { faultyVersion } from "../faulty-releases.ts";
import type { FleetHost, HostFleet } from "../host-fleet.ts";
import { untilOutcome } from "../outcome.ts";
import { StepTrap, SWAP } from "../step-trap.ts";
import type { SystemdHost } from "../systemd-host.ts";

const PATIENCE_S = 45;
const CLOCK = "/etc/offset-of-the-clock";
/** The clock that counts from the start of the machine goes on: no host's jumps. */
const DROP_IN = `[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
Environment=FAKETIME_TIMESTAMP_FILE=${CLOCK} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
`;
const CHANGES = {
  dropIns: { [AGENT_UNIT]: DROP_IN, [GUARD_UNIT]: DROP_IN },
  prepare: (machine: SystemdHost) => writeFile(machine.path(CLOCK), "+0\n", { mode: 0o644 }),
};
const JUMPS: readonly (readonly [string, string])[] = [
  ["forward", "+1d"],
  ["back", "-1d"],
];

/** What the agent's log says beside what the machine does. *Units*: hours. */
async function readAgentsOffset({ machine }: FleetHost): Promise<number> {
  const newest = ["journalctl", "--no-pager", "--output=json", "--lines=1", `--unit=${AGENT_UNIT}`, "--grep", '"at"'];
  const entry = JSON.parse(await machine.demand(...newest)) as { MESSAGE: string; __REALTIME_TIMESTAMP: string };
  const { at } = JSON.parse(entry.MESSAGE) as { at: string };
  return Math.round((Date.parse(at) - Number(entry.__REALTIME_TIMESTAMP) / 1000) / 3_600_000);
}

async function jumpAtSwap(fleet: HostFleet, host: FleetHost, version: string, offset: string) {
  await using trap = await StepTrap.set(host.machine, SWAP);
  const job = await fleet.update(host, version);
  await trap.sprung();
  await writeFile(host.machine.path(CLOCK), `${offset}\n`);
  return job;
}

await describeOnHosts("a clock that jumps a day", ["hangs"], (hosts) => {
  it.each(JUMPS)("%s at the swap does not keep a good version from coming to life", async (name, offset) => {
    const fleet = hosts();
    const host = await fleet.addHost(`good-${name}`, CHANGES);
    const job = await jumpAtSwap(fleet, host, fleet.builds.newer.version, offset);
    const outcome = await untilOutcome(fleet, host, job, "newer");
    expect(outcome).toMatchObject({ state: "SUCCEEDED", binary: "newer", old: "older" });
    expect(await readAgentsOffset(host)).toBe(name === "forward" ? 24 : -24);
  });

  it.each(JUMPS)("%s at the swap makes the guard neither hurry nor wait for another day", async (name, offset) => {
    const fleet = hosts();
    const host = await fleet.addHost(`bad-${name}`, CHANGES);
    const job = await jumpAtSwap(fleet, host, faultyVersion("hangs"), offset);
    const { secondsFromCommit, ...outcome } = await untilOutcome(fleet, host, job, "older");
    expect(outcome).toEqual({ state: "ROLLED_BACK", reason: "NOT_CONFIRMED", binary: "older", old: "older" });
    expect(secondsFromCommit).toBeGreaterThan(PATIENCE_S);
    expect(await readAgentsOffset(host)).toBe(name === "forward" ? 24 : -24);
  });
});

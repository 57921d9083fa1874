/**
 * The whole machine loses its power right after each step of an update, and is
 * switched on again. What was written stays written: that a disk may lose it, too,
 * is another test's (test/faults/power-cut.test.ts).
 */
import { expect, it } from "vitest";
import { AGENT_PATHS } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import { untilStarted } from "../host-events.ts";
import type { FleetHost, HostFleet } from "../host-fleet.ts";
import { untilOutcome, type Outcome } from "../outcome.ts";
import { StepTrap, SWAP, type Step } from "../step-trap.ts";

const { binary, oldTemporary, journalTemporary, verdictTemporary, trustTemporary } = AGENT_PATHS;
const BEFORE_THE_SWAP: readonly Step[] = [
  { calls: ["link"], path: binary },
  { calls: ["rename"], path: oldTemporary },
  { calls: ["openat"], path: journalTemporary },
  { calls: ["write", "pwrite64"], path: journalTemporary },
  { calls: ["rename"], path: journalTemporary },
];
const BY_THE_NEW_VERSION: readonly (readonly [string, Step])[] = [
  ["its verdict is begun", { calls: ["openat"], path: verdictTemporary }],
  ["its verdict is linked", { calls: ["link"], path: verdictTemporary }],
  ["the journal is confirmed", { calls: ["rename"], path: journalTemporary }],
  ["the floor is raised", { calls: ["rename"], path: trustTemporary }],
];
const SUCCEEDED = { state: "SUCCEEDED", reason: "UNSPECIFIED", binary: "newer", old: "older" };

async function updateWithoutPowerAfter(fleet: HostFleet, host: FleetHost, step: Step): Promise<Outcome> {
  await using trap = await StepTrap.set(host.machine, step);
  const job = await fleet.update(host, fleet.builds.newer.version);
  await trap.sprung();
  await host.machine.cutPower();
  await host.machine.boot();
  return await untilOutcome(fleet, host, job, step === SWAP ? "newer" : "older");
}

await describeOnHosts("a machine that loses its power", [], (hosts) => {
  it("at any step before the swap comes back with the version before, and can be updated", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("before");
    for (const step of BEFORE_THE_SWAP) {
      const outcome = await updateWithoutPowerAfter(fleet, host, step);
      expect({ step, ...outcome }).toMatchObject({ step, state: "FAILED", reason: "AGENT_RESTARTED", binary: "older" });
    }
    const job = await fleet.update(host, fleet.builds.newer.version);
    expect(await untilOutcome(fleet, host, job, "newer")).toMatchObject(SUCCEEDED);
  });

  it("at the swap comes back with the new version", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("at");
    expect(await updateWithoutPowerAfter(fleet, host, SWAP)).toMatchObject(SUCCEEDED);
  });

  it.each(BY_THE_NEW_VERSION)("when %s comes back with the new version", async (name, step) => {
    const fleet = hosts();
    const { newer } = fleet.builds;
    const host = await fleet.addHost(name.replaceAll(" ", "-"));
    await using swap = await StepTrap.set(host.machine, SWAP);
    const job = await fleet.update(host, newer.version);
    await swap.sprung();
    // Without the server there is time to look at the new process.
    await host.machine.link.cut();
    await swap[Symbol.asyncDispose]();
    await untilStarted(host.machine, newer.version);
    await using trap = await StepTrap.set(host.machine, step);
    await host.machine.link.mend();
    await trap.sprung();
    await host.machine.cutPower();
    await host.machine.boot();
    expect(await untilOutcome(fleet, host, job, "newer")).toMatchObject(SUCCEEDED);
  });
});

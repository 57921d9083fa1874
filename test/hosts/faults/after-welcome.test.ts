/** A version that was welcomed stays, whatever it does then. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { AlertKind } from "../../../gen/rollcall/v1/attention_pb.js";
import { JobState, type Job } from "../../../gen/rollcall/v1/model_pb.js";
import { AGENT_PATHS, AGENT_UNIT } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import { untilConnected, untilStarted } from "../host-events.ts";
import type { FleetHost, HostFleet } from "../host-fleet.ts";
import { findBuild, untilOutcome } from "../outcome.ts";
import { StepTrap, SWAP } from "../step-trap.ts";

/** Longer than the guard waits and looks again. *Units*: seconds. */
const PAST_PATIENCE_S = "75";

async function expectItStays(fleet: HostFleet, host: FleetHost, job: Job): Promise<void> {
  await fleet.untilAlert(host, AlertKind.HOST_OFFLINE);
  await host.machine.demand("sleep", PAST_PATIENCE_S);
  expect(await findBuild(fleet, host, AGENT_PATHS.binary)).toBe("newer");
  expect((await fleet.untilEnded(job)).state).toBe(JobState.SUCCEEDED);
}

await describeOnHosts("a version that was welcomed", [], (hosts) => {
  it("and hangs before it could write its confirmation down stays, and is missed", async () => {
    const fleet = hosts();
    const { newer } = fleet.builds;
    const host = await fleet.addHost("hung");
    await using swap = await StepTrap.set(host.machine, SWAP);
    const job = await fleet.update(host, newer.version);
    await swap.sprung();
    await host.machine.link.cut();
    await swap[Symbol.asyncDispose]();
    await untilStarted(host.machine, newer.version);
    await using trap = await StepTrap.set(host.machine, { calls: ["link"], path: AGENT_PATHS.verdictTemporary });
    await host.machine.link.mend();
    await trap.sprung();
    await expectItStays(fleet, host, job);
    expect(await readFile(host.machine.path(AGENT_PATHS.journal), "utf8")).toContain("state unconfirmed\n");
    await trap[Symbol.asyncDispose]();
    expect(await untilOutcome(fleet, host, job, "newer")).toMatchObject({ state: "SUCCEEDED", binary: "newer" });
  });

  it("and crashes, and crashes again, stays, and is missed", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("crashing");
    const job = await fleet.update(host, fleet.builds.newer.version);
    await untilOutcome(fleet, host, job, "newer");
    // Once before the update, once after it.
    for (let times = 3; times < 7; times += 1) {
      await host.machine.demand("systemctl", "kill", "--signal=SEGV", AGENT_UNIT);
      await untilConnected(host.machine, times);
    }
    // From now on at every start.
    await host.machine.demand("chmod", "0600", AGENT_PATHS.binary);
    await host.machine.demand("systemctl", "kill", "--signal=SEGV", AGENT_UNIT);
    await expectItStays(fleet, host, job);
    await host.machine.demand("chmod", "0755", AGENT_PATHS.binary);
    expect(await untilOutcome(fleet, host, job, "newer")).toMatchObject({ state: "SUCCEEDED", binary: "newer" });
  });
});

import { expect, it } from "vitest";
import { AGENT_PATHS } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import { findBuild, untilOutcome } from "../outcome.ts";
import { StepTrap, SWAP } from "../step-trap.ts";

const CUT_S = "300";

await describeOnHosts("a network", [], (hosts) => {
  it("that is cut for five minutes at the swap costs the job, not the new version", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("cut");
    await using trap = await StepTrap.set(host.machine, SWAP);
    const job = await fleet.update(host, fleet.builds.newer.version);
    await trap.sprung();
    await host.machine.link.cut();
    await trap[Symbol.asyncDispose]();
    await host.machine.demand("sleep", CUT_S);
    expect(await findBuild(fleet, host, AGENT_PATHS.binary)).toBe("newer");
    await host.machine.link.mend();
    // The server gave the host up for lost after 90 s; its version is seen all the same.
    const outcome = await untilOutcome(fleet, host, job, "newer");
    expect(outcome).toMatchObject({ state: "FAILED", reason: "AGENT_LOST", binary: "newer", old: "older" });
    expect((await fleet.client.listAlerts({ hostId: host.hostId, openOnly: true })).alerts).toEqual([]);
  });
});

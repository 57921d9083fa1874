import { expect, it } from "vitest";
import { GUARD_UNIT } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import { untilLogged } from "../host-events.ts";
import { untilOutcome } from "../outcome.ts";
import { StepTrap, SWAP } from "../step-trap.ts";

await describeOnHosts("a server that is killed", [], (hosts) => {
  it("at the swap, and back when the guard has lost its patience, costs no update", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("abandoned");
    await using trap = await StepTrap.set(host.machine, SWAP);
    const job = await fleet.update(host, fleet.builds.newer.version);
    await trap.sprung();
    await fleet.server.kill();
    await trap[Symbol.asyncDispose]();
    await untilLogged(host.machine, GUARD_UNIT, "the version before does not reach the server either");
    await fleet.startServerAgain();
    const outcome = await untilOutcome(fleet, host, job, "newer");
    expect(outcome).toMatchObject({ state: "SUCCEEDED", binary: "newer", old: "older" });
  });
});

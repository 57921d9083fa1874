import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { AGENT_PATHS, AGENT_UNIT, GUARD_UNIT } from "./agent-host.ts";
import { describeOnHosts } from "./describe-on-hosts.ts";
import { faultyVersion } from "./faulty-releases.ts";
import { untilLogged } from "./host-events.ts";
import { untilOutcome } from "./outcome.ts";
import { StepTrap, SWAP } from "./step-trap.ts";

await describeOnHosts("an update", ["exits", "hangs"], (hosts) => {
  it("takes place under the unit as shipped, and the predecessor is kept", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("good");
    const job = await fleet.update(host, fleet.builds.newer.version);
    const outcome = await untilOutcome(fleet, host, job, "newer");
    expect(outcome).toMatchObject({ state: "SUCCEEDED", binary: "newer", old: "older" });
    expect(await host.machine.demand("systemctl", "show", "-p", "User,NRestarts", "rollcall-agent")).toBe(
      "NRestarts=1\nUser=rollcall\n",
    );
  });

  it("to a version that exits at once is rolled back", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("exits");
    const job = await fleet.update(host, faultyVersion("exits"));
    const outcome = await untilOutcome(fleet, host, job, "older");
    expect(outcome).toMatchObject({ state: "ROLLED_BACK", reason: "CRASHED", binary: "older", old: "older" });
    expect(await readFile(host.machine.path(AGENT_PATHS.journal), "utf8")).toContain("state rolled_back\n");
  });

  it("to a version that hangs before its Hello is rolled back", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("hangs");
    const job = await fleet.update(host, faultyVersion("hangs"));
    const outcome = await untilOutcome(fleet, host, job, "older");
    expect(outcome).toMatchObject({ state: "ROLLED_BACK", reason: "NOT_CONFIRMED", binary: "older", old: "older" });
  });

  it("is not lost by a network that is cut right after the swap, for longer than the guard waits", async () => {
    const fleet = hosts();
    const host = await fleet.addHost("cut");
    await using trap = await StepTrap.set(host.machine, SWAP);
    const job = await fleet.update(host, fleet.builds.newer.version);
    await trap.sprung();
    await host.machine.link.cut();
    await trap[Symbol.asyncDispose]();
    await untilLogged(host.machine, GUARD_UNIT, "the version before does not reach the server either");
    await host.machine.link.mend();
    const outcome = await untilOutcome(fleet, host, job, "newer");
    expect(outcome).toMatchObject({ state: "SUCCEEDED", binary: "newer", old: "older" });
  });

  it("under a unit that lacks the folder in ReadWritePaths is refused before a byte is fetched", async () => {
    const fleet = hosts();
    const dropIns = { [AGENT_UNIT]: `[Service]\nReadWritePaths=\nReadWritePaths=${AGENT_PATHS.stateDir}\n` };
    const host = await fleet.addHost("readonly", { dropIns });
    const job = await fleet.update(host, fleet.builds.newer.version);
    const outcome = await untilOutcome(fleet, host, job, "older");
    expect(outcome).toMatchObject({ state: "FAILED", reason: "PREFLIGHT_READ_ONLY", binary: "older" });
    expect((await fleet.untilEnded(job)).bytesDone).toBe(0n);
  });
});

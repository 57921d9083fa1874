import { expect, it } from "vitest";
import { AGENT_PATHS, AGENT_UNIT } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import type { FleetHost } from "../host-fleet.ts";
import { untilOutcome } from "../outcome.ts";
import { StepTrap, type Step } from "../step-trap.ts";
import type { SystemdHost } from "../systemd-host.ts";

const { folder, stateDir, binary, oldTemporary } = AGENT_PATHS;
/** The version before is kept; the journal comes next. */
const KEPT: Step = { calls: ["rename"], path: oldTemporary };

/** A disk of its own below a folder, as large as given. */
async function mountDisk(machine: SystemdHost, path: string, size: string): Promise<void> {
  await machine.demand("mkdir", "--parents", path);
  await machine.demand("mount", "-t", "tmpfs", "-o", `size=${size},mode=0755`, "tmpfs", path);
}

/** Writes until nothing more fits. */
async function fill({ machine }: FleetHost, path: string): Promise<void> {
  await machine.exec("dd", "if=/dev/zero", `of=${path}/filler`, "bs=4k");
}

await describeOnHosts("a disk", [], (hosts) => {
  it("that is full, or cannot be written, is told before a byte is fetched; mended, it takes the update", async () => {
    const fleet = hosts();
    const { newer } = fleet.builds;
    const host = await fleet.addHost("disk", { prepare: (machine) => mountDisk(machine, folder, "400m") });
    const failures: readonly [string, () => Promise<unknown>, () => Promise<unknown>][] = [
      ["PREFLIGHT_NO_SPACE", () => fill(host, folder), () => host.machine.demand("rm", `${folder}/filler`)],
      [
        "PREFLIGHT_READ_ONLY",
        () => host.machine.demand("mount", "-o", "remount,ro", folder),
        () => host.machine.demand("mount", "-o", "remount,rw", folder),
      ],
    ];
    for (const [reason, spoil, mend] of failures) {
      await spoil();
      const job = await fleet.update(host, newer.version);
      const outcome = await untilOutcome(fleet, host, job, "older");
      expect(outcome).toMatchObject({ state: "FAILED", reason, binary: "older", old: undefined });
      expect((await fleet.untilEnded(job)).bytesDone).toBe(0n);
      await mend();
    }
    const job = await fleet.update(host, newer.version);
    expect(await untilOutcome(fleet, host, job, "newer")).toMatchObject({ state: "SUCCEEDED", binary: "newer" });
  });

  it("that cannot hold the journal keeps the version before, however late it is full; mended, it takes the update", async () => {
    const fleet = hosts();
    const { newer } = fleet.builds;
    const host = await fleet.addHost("journal", { prepare: (machine) => mountDisk(machine, stateDir, "1m") });
    await fill(host, stateDir);
    const refused = await untilOutcome(fleet, host, await fleet.update(host, newer.version), "older");
    expect(refused).toMatchObject({ state: "FAILED", reason: "PREFLIGHT_NO_SPACE", binary: "older", old: undefined });
    await host.machine.demand("rm", `${stateDir}/filler`);
    await using trap = await StepTrap.set(host.machine, KEPT);
    const job = await fleet.update(host, newer.version);
    await trap.sprung();
    await fill(host, stateDir);
    await trap[Symbol.asyncDispose]();
    const outcome = await untilOutcome(fleet, host, job, "older");
    expect(outcome).toMatchObject({ state: "FAILED", reason: "SWAP_FAILED", binary: "older" });
    await host.machine.demand("rm", `${stateDir}/filler`);
    const again = await fleet.update(host, newer.version);
    expect(await untilOutcome(fleet, host, again, "newer")).toMatchObject({ state: "SUCCEEDED", binary: "newer" });
  });

  it("that runs nothing but the agent is told before a byte is fetched", async () => {
    const fleet = hosts();
    const dropIns = { [AGENT_UNIT]: `[Service]\nNoExecPaths=${folder}\nExecPaths=${binary}\n` };
    const host = await fleet.addHost("noexec", { dropIns });
    const job = await fleet.update(host, fleet.builds.newer.version);
    const outcome = await untilOutcome(fleet, host, job, "older");
    expect(outcome).toMatchObject({ state: "FAILED", reason: "PREFLIGHT_NOT_EXECUTABLE", binary: "older" });
    expect((await fleet.untilEnded(job)).bytesDone).toBe(0n);
  });
});

/** New versions that pass their probe and do not come to life, and those that the probe finds out. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { AGENT_PATHS, AGENT_UNIT, GUARD_UNIT, installAgent } from "../agent-host.ts";
import { describeOnHosts } from "../describe-on-hosts.ts";
import { faultyVersion, type Fault } from "../faulty-releases.ts";
import { ROLLBACK_LIMIT_S, untilOutcome } from "../outcome.ts";
import { StepTrap, SWAP } from "../step-trap.ts";

await describeOnHosts(
  "a new version",
  ["exits", "leaves", "hangs", "isolated", "foreign", "truncated", "mislabelled"],
  (hosts) => {
    it.each<[string, Fault, string]>([
      ["exits with status 1 at once", "exits", "crashed"],
      ["exits with status 0 at once", "leaves", "crashed"],
      ["hangs before its Hello", "hangs", "not_confirmed"],
      ["cannot reach the server, which the one before can,", "isolated", "server_unreachable"],
    ])("that %s is rolled back in time", async (_, fault, found) => {
      const fleet = hosts();
      const host = await fleet.addHost(fault);
      const job = await fleet.update(host, faultyVersion(fault));
      const { secondsFromCommit, ...outcome } = await untilOutcome(fleet, host, job, "older");
      const reason = found === "crashed" ? "CRASHED" : "NOT_CONFIRMED";
      expect(outcome).toEqual({ state: "ROLLED_BACK", reason, binary: "older", old: "older" });
      const guardLog = await host.machine.demand("journalctl", "--no-pager", `--unit=${GUARD_UNIT}`);
      expect(secondsFromCommit, guardLog).toBeLessThan(ROLLBACK_LIMIT_S);
      expect(await readFile(host.machine.path(AGENT_PATHS.journal), "utf8")).toContain(`\nreason ${found}\n`);
    });

    it("that passed its probe and then cannot be executed is rolled back", async () => {
      const fleet = hosts();
      const host = await fleet.addHost("inexecutable");
      await using trap = await StepTrap.set(host.machine, SWAP);
      const job = await fleet.update(host, fleet.builds.newer.version);
      await trap.sprung();
      await host.machine.demand("chmod", "0600", AGENT_PATHS.binary);
      await trap[Symbol.asyncDispose]();
      const { secondsFromCommit, ...outcome } = await untilOutcome(fleet, host, job, "older");
      expect(outcome).toEqual({ state: "ROLLED_BACK", reason: "CRASHED", binary: "older", old: "older" });
      expect(secondsFromCommit).toBeLessThan(ROLLBACK_LIMIT_S);
    });

    it.each<[string, Fault, string]>([
      ["is for another processor", "foreign", "PREFLIGHT_WRONG_PLATFORM"],
      ["is half a program", "truncated", "PROBE_FAILED"],
      ["is another version than its release says", "mislabelled", "PROBE_FAILED"],
    ])("that %s never stands at the path", async (_, fault, reason) => {
      const fleet = hosts();
      const host = await fleet.addHost(fault);
      const job = await fleet.update(host, faultyVersion(fault));
      const outcome = await untilOutcome(fleet, host, job, "older");
      expect(outcome).toEqual({
        state: "FAILED",
        reason,
        binary: "older",
        old: undefined,
        secondsFromCommit: undefined,
      });
    });

    it("whose predecessor is killed right after the swap is started all the same", async () => {
      const fleet = hosts();
      const host = await fleet.addHost("killed");
      await using trap = await StepTrap.set(host.machine, SWAP);
      const job = await fleet.update(host, fleet.builds.newer.version);
      await trap.sprung();
      await host.machine.demand("systemctl", "kill", "--signal=KILL", AGENT_UNIT);
      const outcome = await untilOutcome(fleet, host, job, "newer");
      expect(outcome).toMatchObject({ state: "SUCCEEDED", binary: "newer", old: "older" });
    });

    it("in whose place somebody installs another one is said to be the wrong one", async () => {
      const fleet = hosts();
      const host = await fleet.addHost("replaced");
      const { newer } = fleet.builds;
      const { installCommand } = await fleet.client.createEnrollmentToken({ label: "replaced" });
      await using trap = await StepTrap.set(host.machine, SWAP);
      const job = await fleet.update(host, faultyVersion("hangs"));
      await trap.sprung();
      await trap[Symbol.asyncDispose]();
      const withoutToken = installCommand.replace(/ROLLCALL_TOKEN=\S+ /, "");
      expect(await installAgent(host.machine, withoutToken, newer.version)).toMatchObject({ status: 0 });
      const outcome = await untilOutcome(fleet, host, job, "newer");
      expect(outcome).toMatchObject({ state: "FAILED", reason: "WRONG_VERSION", binary: "newer" });
    });
  },
);

import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { AGENT_PATHS } from "./agent-host.ts";
import { explainNoHosts } from "./explain-no-hosts.ts";
import { untilLogged, untilSwapped } from "./host-events.ts";
import { BAD_VERSIONS, HostFleet, type FleetHost } from "./host-fleet.ts";

const reasonToSkip = await explainNoHosts();

describe.skipIf(reasonToSkip !== undefined)(
  `on hosts with a real systemd${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  { concurrent: true, timeout: 240_000 },
  () => {
    let fleet: HostFleet;

    beforeAll(async () => {
      fleet = await HostFleet.start(AbortSignal.timeout(600_000));
    }, 600_000);
    afterAll(() => fleet?.[Symbol.asyncDispose](), 60_000);

    const digestOn = async ({ machine }: FleetHost, path: string): Promise<string> =>
      (await digestFile(machine.path(path))).sha256;
    const untilConnectedAgain = async (host: FleetHost): Promise<void> => {
      await fleet.untilOnline(host.machine.name, fleet.builds.older.version);
    };

    it("the unit as shipped runs the agent, which updates itself and keeps its predecessor", async () => {
      const host = await fleet.addHost("good");
      const { older, newer } = fleet.builds;
      const job = await fleet.update(host, newer.version);
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({ state: JobState.SUCCEEDED });
      expect(await digestOn(host, AGENT_PATHS.binary)).toBe((await digestFile(newer.binaryPath)).sha256);
      expect(await digestOn(host, AGENT_PATHS.old)).toBe((await digestFile(older.binaryPath)).sha256);
      expect(await host.machine.demand("systemctl", "show", "-p", "User,NRestarts", "rollcall-agent")).toBe(
        "NRestarts=1\nUser=rollcall\n",
      );
    });

    it("a version that exits at once is rolled back", async () => {
      const host = await fleet.addHost("exits");
      const job = await fleet.update(host, BAD_VERSIONS.exits);
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({
        state: JobState.ROLLED_BACK,
        reason: JobReason.CRASHED,
      });
      await untilConnectedAgain(host);
      expect(await readFile(host.machine.path(AGENT_PATHS.journal), "utf8")).toContain("state rolled_back\n");
    });

    it("a version that hangs before its Hello is rolled back, before the server gives up", async () => {
      const host = await fleet.addHost("hangs");
      const job = await fleet.update(host, BAD_VERSIONS.hangs);
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({
        state: JobState.ROLLED_BACK,
        reason: JobReason.NOT_CONFIRMED,
      });
      await untilConnectedAgain(host);
    });

    it("a network that is cut right after the swap, for longer than the guard waits, costs no update", async () => {
      const host = await fleet.addHost("cut");
      const job = await fleet.update(host, fleet.builds.newer.version);
      await untilSwapped(host.machine);
      await host.machine.link.cut();
      await untilLogged(host.machine, "rollcall-agent-guard", "the version before does not reach the server either");
      await host.machine.link.mend();
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({ state: JobState.SUCCEEDED });
      expect(await digestOn(host, AGENT_PATHS.binary)).toBe((await digestFile(fleet.builds.newer.binaryPath)).sha256);
    });

    it("a machine that loses power right after the swap comes back with the new version", async () => {
      const host = await fleet.addHost("power");
      const job = await fleet.update(host, fleet.builds.newer.version);
      await untilSwapped(host.machine);
      await host.machine.cutPower();
      await host.machine.boot();
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({ state: JobState.SUCCEEDED });
      expect(await digestOn(host, AGENT_PATHS.old)).toBe((await digestFile(fleet.builds.older.binaryPath)).sha256);
    });

    it("an agent that is killed right after the swap is started again as the new version", async () => {
      const host = await fleet.addHost("killed");
      const job = await fleet.update(host, fleet.builds.newer.version);
      await untilSwapped(host.machine);
      // Of the old process on its way out or of the new one on its way in: whichever there is.
      await host.machine.exec("systemctl", "kill", "--signal=KILL", "rollcall-agent.service");
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({ state: JobState.SUCCEEDED });
      expect(await digestOn(host, AGENT_PATHS.old)).toBe((await digestFile(fleet.builds.older.binaryPath)).sha256);
    });

    it("the folder missing from ReadWritePaths is told before a byte is fetched", async () => {
      const agentDropIn = `[Service]\nReadWritePaths=\nReadWritePaths=${AGENT_PATHS.stateDir}\n`;
      const host = await fleet.addHost("readonly", { agentDropIn });
      const job = await fleet.update(host, fleet.builds.newer.version);
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({
        state: JobState.FAILED,
        reason: JobReason.PREFLIGHT_READ_ONLY,
        bytesDone: 0n,
      });
    });
  },
);

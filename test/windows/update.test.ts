import { readFile, rename, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { explainNoWine } from "./explain-no-wine.ts";
import { BAD_VERSIONS, HOME, WindowsFleet, type WindowsHost } from "./windows-fleet.ts";

const reasonToSkip = await explainNoWine();

describe.skipIf(reasonToSkip !== undefined)(
  `the agent of windows-x64 under Wine${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  { concurrent: true, timeout: 600_000 },
  () => {
    let fleet: WindowsFleet;

    beforeAll(async () => {
      fleet = await WindowsFleet.start(AbortSignal.timeout(1_800_000));
    }, 1_800_000);
    afterAll(() => fleet?.[Symbol.asyncDispose](), 60_000);

    const digestOn = async ({ machine }: WindowsHost, name: string): Promise<string> =>
      (await digestFile(machine.path(`${HOME}/bin/${name}`))).sha256;
    const digestOf = async (path: string): Promise<string> => (await digestFile(path)).sha256;
    const readState = ({ machine }: WindowsHost, name: string): Promise<string> =>
      readFile(machine.path(`${HOME}/state/${name}`), "utf8");

    it("enrols, updates itself, is started again by update.cmd and keeps its predecessor", async () => {
      const host = await fleet.addHost("good");
      const { older, newer } = fleet.builds;
      const job = await fleet.update(host, newer.version);
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({ state: JobState.SUCCEEDED });
      expect(await fleet.untilOnline("good", newer.version)).toMatchObject({ os: "windows", arch: "x64" });
      expect(await digestOn(host, "rollcall-agent.exe")).toBe(await digestOf(newer.binaryPath));
      expect(await digestOn(host, "rollcall-agent.exe.old")).toBe(await digestOf(older.binaryPath));
      expect(await readState(host, "agent.log")).toContain('"event":"experimental_platform"');
    });

    it("a version that exits at once is rolled back by the version before", async () => {
      const host = await fleet.addHost("exits");
      const job = await fleet.update(host, BAD_VERSIONS.exits);
      expect(await fleet.untilRolledBack(job)).toMatchObject({ reason: JobReason.CRASHED });
      await fleet.untilOnline("exits", fleet.builds.older.version);
      expect(await digestOn(host, "rollcall-agent.exe")).toBe(await digestOf(fleet.builds.older.binaryPath));
      expect(await readState(host, "journal")).toContain("state rolled_back\n");
    });

    it("a version that hangs before its Hello is ended and rolled back", async () => {
      const host = await fleet.addHost("hangs");
      const job = await fleet.update(host, BAD_VERSIONS.hangs);
      expect(await fleet.untilRolledBack(job)).toMatchObject({ reason: JobReason.NOT_CONFIRMED });
      await fleet.untilOnline("hangs", fleet.builds.older.version);
      expect(await digestOn(host, "rollcall-agent.exe")).toBe(await digestOf(fleet.builds.older.binaryPath));
    });

    it("a machine that stopped between the two renames comes back with the version before", async () => {
      const host = await fleet.addHost("between");
      await host.machine.end("cmd.exe", "rollcall-agent.exe");
      const binary = host.machine.path(`${HOME}/bin/rollcall-agent.exe`);
      await rename(binary, `${binary}.old`);
      await rm(host.machine.path(`${HOME}/state/agent.log`));
      await fleet.keepRunning(host.machine);
      await host.machine.untilWritten(`${HOME}/state/agent.log`, '"event":"connected"');
      expect(await digestOf(binary)).toBe(await digestOf(`${binary}.old`));
    });

    it("a swap that the system refuses leaves the version before running", async () => {
      const host = await fleet.addHost("refused");
      // A folder that is not empty is not deleted, and no file takes its place.
      await host.machine.write(`${HOME}/bin/rollcall-agent.exe.old/file`, "");
      const job = await fleet.update(host, fleet.builds.newer.version);
      expect(await fleet.server.untilEnded(job.id)).toMatchObject({
        state: JobState.FAILED,
        reason: JobReason.SWAP_FAILED,
      });
      await fleet.untilOnline("refused", fleet.builds.older.version);
      expect(await digestOn(host, "rollcall-agent.exe")).toBe(await digestOf(fleet.builds.older.binaryPath));
    });
  },
);

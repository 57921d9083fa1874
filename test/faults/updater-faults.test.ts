import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readJournal } from "../../agent/updater/journal.ts";
import { findLeaks } from "../agent/updater/leak-check.ts";
import type { Flaw } from "./harness-order.ts";
import { planPoints, runCampaign, type PrepareCase } from "./campaign.ts";
import { run, runWithFault, type TracedCall } from "./strace-plan.ts";
import { explainMissingTools } from "./system-tools.ts";
import {
  createUpdaterKit,
  prepareConfirmingHost,
  prepareResumingHost,
  prepareUpdaterHost,
  type UpdaterKit,
} from "./updater-host.ts";

const LANES = 2;
const reasonToSkip = explainMissingTools("strace", "util-linux");

describe.skipIf(reasonToSkip !== undefined)(
  `the updater, interrupted${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let kit: UpdaterKit;
    let points: readonly TracedCall[];
    const prepare: PrepareCase = () => prepareUpdaterHost(kit);

    beforeAll(async () => {
      kit = await createUpdaterKit();
      points = await planPoints(prepare);
    });
    afterAll(() => kit[Symbol.asyncDispose]());

    it("does the same calls in the same order every time, each kind that matters among them", () => {
      const kinds = new Set(points.map((point) => point.syscall));
      expect([...kinds].toSorted()).toEqual([
        "close",
        "copy_file_range",
        "fchmod",
        "fsync",
        "ftruncate",
        "link",
        "openat",
        "pwrite64",
        "rename",
        "unlink",
        "write",
      ]);
      expect(points.length).toBeGreaterThan(35);
    });

    it("leaves a whole binary, its predecessor and a readable journal when killed before any call", async () => {
      expect(await runCampaign(prepare, points, ["kill"], LANES)).toEqual({ runs: points.length + 1, problems: [] });
    }, 120_000);

    it("left stages to next attempts that saved blocks, and damaged ones that no block was taken from unseen", () => {
      expect(kit.tally.sound).toBeGreaterThan(3);
      expect(kit.tally.damaged).toBeGreaterThan(3);
      expect(kit.tally.savedBlocks).toBeGreaterThan(10);
    });

    it("leaves a whole binary, its predecessor and a readable journal when any one call fails with EIO", async () => {
      expect(await runCampaign(prepare, points, ["EIO"], LANES)).toEqual({ runs: points.length + 1, problems: [] });
    }, 120_000);

    it("leaves a whole binary, its predecessor and a readable journal when any one call fails with ENOSPC", async () => {
      expect(await runCampaign(prepare, points, ["ENOSPC"], LANES)).toEqual({ runs: points.length + 1, problems: [] });
    }, 120_000);

    it("goes on from what was left, whole or damaged anew, when interrupted while it goes on from an earlier stage", async () => {
      const prepareResuming: PrepareCase = () => prepareResumingHost(kit);
      const calls = await planPoints(prepareResuming);
      const staging = calls.slice(
        calls.findIndex(({ shown }) => shown.includes("agent.new")),
        calls.findIndex(({ syscall }) => syscall === "link"),
      );
      expect(staging.map(({ syscall }) => syscall)).not.toContain("copy_file_range");
      const report = await runCampaign(prepareResuming, staging, ["kill", "EIO"], LANES);
      expect(report).toEqual({ runs: 2 * staging.length + 1, problems: [] });
    }, 120_000);

    it("leaves an update that is confirmed, or can be, when interrupted while it confirms", async () => {
      const prepareConfirming: PrepareCase = () => prepareConfirmingHost(kit);
      const confirming = await planPoints(prepareConfirming);
      expect(confirming.filter((point) => ["link", "rename"].includes(point.syscall))).toHaveLength(3);
      const report = await runCampaign(prepareConfirming, confirming, ["kill", "EIO"], LANES);
      expect(report).toEqual({ runs: 2 * confirming.length + 1, problems: [] });
    }, 120_000);

    it("copies the predecessor where hard links are refused", async () => {
      await using host = await prepare();
      const end = await runWithFault(host.subject, { syscall: "link" }, "EPERM");
      expect(end).toMatchObject({ status: 0, wasHit: true });
      expect(await host.findProblems("none", end)).toEqual([]);
    });

    it("puts the predecessor back when the new binary is in place but that cannot be made durable", async () => {
      const last = points.filter((point) => point.syscall === "fsync").at(-1);
      if (last === undefined) throw new Error("no fsync in the plan");
      await using host = await prepareUpdaterHost(kit);
      const end = await runWithFault(host.subject, last, "EIO");
      expect(end).toMatchObject({ status: 3, wasHit: true });
      expect(end.stdout).toContain(`"errorCode":"EIO"`);
      expect(await readJournal(host.host.paths)).toMatchObject({ state: "failed", reason: "swap_failed" });
      expect((await run(host.host.paths.binary, [], {})).stdout).toBe("1.0.0\n");
      expect(await host.findProblems("EIO", end)).toEqual([]);
    });

    it("never holds up the event loop while the disk is slow", async () => {
      await using host = await prepare();
      const end = await runWithFault(host.subject, { syscall: "fsync", nth: 1 }, "slow");
      expect(end).toMatchObject({ status: 0, wasHit: true });
      expect(Number(/"longestStallMs":(\d+)/.exec(end.stdout)?.[1])).toBeLessThan(1000);
      expect(await host.findProblems("none", end)).toEqual([]);
    });

    it("takes a short write for what it is, and leaves the old binary", async () => {
      await using host = await prepare();
      const { command, args, env } = host.subject;
      const end = await run("prlimit", ["--fsize=200000", command, ...args], {
        PATH: process.env["PATH"] ?? "",
        ...env,
      });
      expect(end.status).toBe(3);
      expect(end.stdout).toContain(`"errorCode":"EFBIG"`);
      expect(await host.findProblems("none", end)).toEqual([]);
    });

    // Only at the calls where the mistake can show: that the right updater passes is told by all the others.
    it.each<[Flaw, readonly string[], RegExp]>([
      ["moves the binary away first", ["rename"], /^kill at rename \d: the binary is missing or not whole$/],
      ["writes in place", ["write"], /^kill at write \d: the binary is missing or not whole$/],
      ["journals last", ["write", "rename"], /^kill at .*: version 2 stands, and the journal does not say so$/],
      ["keeps no predecessor", ["fsync"], /^kill at .*: version 2 stands, and `.old` is version 0$/],
    ])(
      "is caught when it %s",
      async (flaw, syscalls, expected) => {
        const prepareBroken: PrepareCase = () => prepareUpdaterHost(kit, kit.folder, flaw);
        const suspects = (await planPoints(prepareBroken)).filter(({ syscall }) => syscalls.includes(syscall));
        const { problems } = await runCampaign(prepareBroken, suspects, ["kill"], LANES);
        expect(problems.filter((problem) => expected.test(problem))).not.toEqual([]);
      },
      120_000,
    );
  },
);

afterAll(async () => expect(await findLeaks("rollcall-faults-")).toEqual([]));

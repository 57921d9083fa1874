import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLeaks } from "../agent/updater/leak-check.ts";
import type { Flaw } from "./harness-order.ts";
import { planPoints } from "./campaign.ts";
import {
  createLoopFilesystem,
  POWER_FOLDER_PREFIX,
  explainNoLoopMounts,
  type FilesystemKind,
  type LoopFilesystem,
  type PowerCut,
} from "./loop-filesystem.ts";
import { run, runWithFault, type FaultPoint } from "./strace-plan.ts";
import { explainMissingTools } from "./system-tools.ts";
import { createUpdaterKit, prepareUpdaterHost, type UpdaterKit } from "./updater-host.ts";

const KINDS: readonly FilesystemKind[] = ["ext4", "xfs"];
const CUTS: readonly PowerCut[] = ["journalKept", "nothingKept"];
const reasonToSkip = explainMissingTools("strace", "e2fsprogs", "xfsprogs", "mount") ?? (await explainNoLoopMounts());

describe.skipIf(reasonToSkip !== undefined)(
  `the updater, when the power is cut${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let kit: UpdaterKit;

    beforeAll(async () => {
      kit = await createUpdaterKit();
    });
    afterAll(() => kit[Symbol.asyncDispose]());

    it.concurrent.each(KINDS)(
      "leaves a whole binary, its predecessor and a readable journal on %s, before any change and after the last",
      async (kind) => {
        await using filesystem = await createLoopFilesystem(kind);
        const points = await planChanges(kit, filesystem);
        expect(points.length).toBeGreaterThan(20);
        expect(await cutEverywhere(kit, filesystem, points, CUTS)).toEqual([]);
      },
      180_000,
    );

    it.concurrent.each(KINDS)(
      "is caught on %s when it does not make the new binary durable",
      async (kind) => {
        await using filesystem = await createLoopFilesystem(kind);
        const flaw = "skips the fsync of the new binary";
        const points = (await planChanges(kit, filesystem, flaw)).slice(-1);
        const problems = await cutEverywhere(kit, filesystem, points, ["journalKept"], flaw);
        expect(problems).toContain("journalKept at the end: the binary is missing or not whole");
      },
      60_000,
    );
  },
);

/** The calls that change what is on the disk. Before an open for reading or a close it is as before the call that follows. */
async function planChanges(kit: UpdaterKit, filesystem: LoopFilesystem, flaw?: Flaw): Promise<readonly FaultPoint[]> {
  const calls = await planPoints(() => prepareUpdaterHost(kit, filesystem.mountPoint, flaw));
  return calls.filter(
    (call) => call.syscall !== "close" && (call.syscall !== "openat" || call.shown.includes("O_CREAT")),
  );
}

/** Kills before each point and after the last, cuts the power, and asks the questions of what is left. */
async function cutEverywhere(
  kit: UpdaterKit,
  filesystem: LoopFilesystem,
  points: readonly FaultPoint[],
  cuts: readonly PowerCut[],
  flaw?: Flaw,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const cut of cuts) {
    for (const point of [...points, undefined]) {
      await using host = await prepareUpdaterHost(kit, filesystem.mountPoint, flaw);
      const where = `${cut} at ${point === undefined ? "the end" : `${point.syscall} ${point.nth}`}`;
      const { command, args, env } = host.subject;
      const end = point === undefined ? await run(command, args, env) : await runWithFault(host.subject, point, "kill");
      if (point !== undefined && end.signal !== "SIGKILL") problems.push(`${where}: the point was missed`);
      await filesystem.cutPower(cut);
      problems.push(...(await host.findProblems("kill", end)).map((problem) => `${where}: ${problem}`));
    }
  }
  return problems;
}

afterAll(async () => {
  expect(await findLeaks(POWER_FOLDER_PREFIX)).toEqual([]);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(POWER_FOLDER_PREFIX);
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLeaks } from "../agent/updater/leak-check.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { BuiltFleet } from "./built-fleet.ts";
import { planPoints, runJobs, type CampaignJob, type PrepareCase } from "./campaign.ts";
import type { TracedCall } from "./strace-plan.ts";
import { explainMissingTools } from "./system-tools.ts";

const LANES = 3;
const reasonToSkip = explainMissingTools("strace");

describe.skipIf(reasonToSkip !== undefined)(
  `the built agent, interrupted while it replaces itself${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let fleet: BuiltFleet;
    let points: readonly TracedCall[];
    const prepare: PrepareCase = () => fleet.prepare();

    beforeAll(async () => {
      fleet = await BuiltFleet.start(await buildTestAgents(), new AbortController().signal);
      points = choosePoints(await planPoints(prepare, "counts"));
    }, 240_000);
    afterAll(() => fleet[Symbol.asyncDispose]());

    it("leaves a whole binary, tells the server the truth and succeeds at last, when killed or refused by the disk", async () => {
      expect(points).toHaveLength(14);
      const jobs = points.flatMap((point, index): readonly CampaignJob[] => {
        const kill: CampaignJob = { point, fault: "kill" };
        // Every run starts a real agent twice: the disk refuses at every other point only.
        return index % 2 === 0 ? [kill] : [kill, { point, fault: index % 4 === 1 ? "EIO" : "ENOSPC" }];
      });
      expect(await runJobs(prepare, jobs, LANES)).toEqual({ runs: 21, problems: [] });
    }, 400_000);
  },
);

/** One of each kind that matters, in the order in which they come. */
function choosePoints(calls: readonly TracedCall[]): readonly TracedCall[] {
  const find = (syscall: string, shown = ""): readonly TracedCall[] =>
    calls.filter((call) => call.syscall === syscall && call.shown.includes(shown));
  const writes = find("pwrite64");
  const lastWrite = writes.at(-1);
  const afterWrites = calls.slice(lastWrite === undefined ? 0 : calls.indexOf(lastWrite));
  const chosen = [
    calls.find(({ shown }) => shown.startsWith("openat") && shown.includes(`.new" O_CREAT`)),
    find("copy_file_range")[0],
    find("ftruncate")[0],
    find("fdatasync")[0],
    writes[0],
    lastWrite,
    afterWrites.find(({ syscall }) => syscall === "fchmod"),
    afterWrites.find(({ syscall }) => syscall === "fsync"),
    find("link")[0],
    find("rename", ".old.tmp")[0],
    find("write", "state unconfirmed")[0],
    find("rename", "journal.tmp")[0],
    find("rename", ".new")[0],
    find("fsync").at(-1),
  ];
  return chosen.filter((call) => call !== undefined);
}

afterAll(async () => {
  expect(await findLeaks("rollcall-built-")).toEqual([]);
  expect(await findLeaks("rollcall-demo-")).toEqual([]);
});

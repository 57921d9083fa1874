import { computeVersion } from "../../gen/version.ts";
import { buildAgents } from "../demo/agent-builds.ts";
import { BuiltFleet } from "../faults/built-fleet.ts";
import { planPoints, runJobs, type CampaignJob } from "../faults/campaign.ts";
import type { Fault, TracedCall } from "../faults/strace-plan.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";

const LANES = 3;
const WRITES = 210;
const FAULTS: readonly Fault[] = ["kill", "EIO", "ENOSPC"];
const REPORT_EVERY = 25;

/**
 * The built agent, interrupted while it replaces itself by the newer build over a
 * real server: at every call that touches its files other than the writes of the
 * artifact, and at those, or WRITES of them if there are more, spread from the first to the last.
 */
export const faultsSuite: Suite = {
  name: "faults",
  async run(print, signal) {
    await using fleet = await BuiltFleet.start(
      await buildAgents(computeVersion(repositoryRoot), print, signal),
      signal,
    );
    const prepare = () => {
      signal.throwIfAborted();
      return fleet.prepare();
    };
    const startedMs = stopwatchMs();
    const calls = await planPoints(prepare, "counts");
    const others = calls.filter(({ syscall }) => syscall !== "pwrite64");
    const writes = chooseWrites(calls);
    const jobs = [others, writes].flatMap((points) =>
      FAULTS.flatMap((fault) => points.map((point): CampaignJob => ({ point, fault }))),
    );
    print(`${calls.length} calls; ${others.length} points and ${writes.length} writes, ${jobs.length} runs`);
    let ended = 0;
    const { runs, problems } = await runJobs(prepare, jobs, LANES, (found) => {
      for (const problem of found) print(problem);
      ended += 1;
      if (ended % REPORT_EVERY === 0) print(`${ended} of ${jobs.length} after ${secondsSince(startedMs)} s`);
    });
    const points = { others: others.length, writes: writes.length };
    return { calls: calls.length, points, runs, problems, elapsedS: secondsSince(startedMs) };
  },
};

/** From the first to the last, evenly. */
function chooseWrites(calls: readonly TracedCall[]): readonly TracedCall[] {
  const writes = calls.filter(({ syscall }) => syscall === "pwrite64");
  if (writes.length <= WRITES) return writes;
  const chosen = Array.from({ length: WRITES }, (_, index) =>
    writes.at(Math.round((index * (writes.length - 1)) / (WRITES - 1))),
  );
  return chosen.filter((call) => call !== undefined);
}

function secondsSince(startedMs: number): number {
  return Math.round((stopwatchMs() - startedMs) / 1000);
}

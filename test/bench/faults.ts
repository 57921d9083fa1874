import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { computeVersion } from "../../gen/version.ts";
import { buildAgents, type AgentBuild, type AgentBuilds } from "../demo/agent-builds.ts";
import { createWorkspace } from "../demo/workspace.ts";
import { BuiltFleet } from "../faults/built-fleet.ts";
import { planPoints, runJobs, type CampaignJob } from "../faults/campaign.ts";
import type { Fault, TracedCall } from "../faults/strace-plan.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { buildFormerNodeAgent, readBuildFacts } from "./delivery/former-agents.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";

const LANES = 3;
const WRITES = 210;
const FAULTS: readonly Fault[] = ["kill", "EIO", "ENOSPC"];
const REPORT_EVERY = 25;

/** What is interrupted, and where. */
interface Campaign {
  readonly what: string;
  readonly builds: AgentBuilds;
  readonly choosePoints: (calls: readonly TracedCall[]) => readonly TracedCall[];
}

/**
 * The built agent, interrupted while it replaces itself by the newer build over a
 * real server: at every call that touches its files when only its sources changed,
 * and at WRITES of the writes, spread from the first to the last, when all did.
 */
export const faultsSuite: Suite = {
  name: "faults",
  async run(print, signal) {
    await using workspace = await createWorkspace("rollcall-bench-faults-");
    const version = computeVersion(repositoryRoot);
    const builds = await buildAgents(version, print, signal);
    const older = await buildForeignAgent(version, workspace.path);
    const campaigns: readonly Campaign[] = [
      { what: "a change of the sources", builds, choosePoints: (calls) => calls },
      { what: "a change of all", builds: { ...builds, older }, choosePoints: chooseWrites },
    ];
    const results = [];
    for (const campaign of campaigns) results.push(await runCampaign(campaign, print, signal));
    return { campaigns: results, problems: results.flatMap(({ problems }) => problems) };
  },
};

/** An agent that has next to no block of the release. */
async function buildForeignAgent(version: string, folder: string): Promise<AgentBuild> {
  const facts = await readBuildFacts(version);
  const built = await buildFormerNodeAgent(facts, join(folder, "former"));
  const releasesDir = join(folder, "older");
  const binaryPath = join(releasesDir, "rollcall-agent");
  await mkdir(releasesDir);
  await copyFile(built, binaryPath);
  return { version: `${version}-former-node`, releasesDir, binaryPath };
}

async function runCampaign(campaign: Campaign, print: (line: string) => void, signal: AbortSignal) {
  await using fleet = await BuiltFleet.start(campaign.builds, signal);
  const prepare = () => {
    signal.throwIfAborted();
    return fleet.prepare();
  };
  const startedMs = stopwatchMs();
  const calls = await planPoints(prepare, "counts");
  const points = campaign.choosePoints(calls);
  const jobs = FAULTS.flatMap((fault) => points.map((point): CampaignJob => ({ point, fault })));
  print(`${campaign.what}: ${calls.length} calls, ${points.length} points, ${jobs.length} runs`);
  let ended = 0;
  const { runs, problems } = await runJobs(prepare, jobs, LANES, (found) => {
    for (const problem of found) print(problem);
    ended += 1;
    if (ended % REPORT_EVERY === 0) print(`${ended} of ${jobs.length} after ${secondsSince(startedMs)} s`);
  });
  const facts = { calls: calls.length, points: points.length, runs, elapsedS: secondsSince(startedMs) };
  return { what: campaign.what, ...facts, problems };
}

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

/**
 * What an agent costs its host: its memory and processor time while it is idle, and
 * while it downloads the most that an update ever moves, which is a new Node.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../agent/clock-system.ts";
import { computeVersion } from "../../gen/version.ts";
import { buildAgents } from "../demo/agent-builds.ts";
import { DemoFleet } from "../demo/demo-fleet.ts";
import { describeJob, updateHost } from "../demo/update-host.ts";
import { createWorkspace } from "../demo/workspace.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { findProcess, readCost, type ProcessCost } from "./process-cost.ts";
import { buildFormerNodeAgent, readBuildFacts } from "./delivery/former-agents.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";

/** *Units*: milliseconds. */
const SETTLE_MS = 25_000;
const IDLE_MS = 90_000;
const IDLE_LOOK_MS = 1_000;
const DOWNLOAD_LOOK_MS = 20;

/** What an idle agent may cost. */
const LIMITS = { anonymousBytes: 25 * 1024 * 1024, cpuPercent: 0.1 };

/** *Shape*: the most memory and the share of one core over the time of `elapsedMs`. */
interface Cost {
  readonly anonymousBytes: number;
  readonly cpuMs: number;
  readonly cpuPercent: number;
  readonly elapsedMs: number;
}

export const agentSuite: Suite = {
  name: "agent",
  async run(print, signal) {
    await using workspace = await createWorkspace("rollcall-bench-agent-");
    const version = computeVersion(repositoryRoot);
    const builds = await buildAgents(version, print, signal);
    print("Building an agent around a former Node …");
    const facts = await readBuildFacts(version);
    const former = await buildFormerNodeAgent(facts, join(workspace.path, "node"));
    await using fleet = await DemoFleet.start(builds, systemClock, signal);
    print(`Looking at an idle agent for ${IDLE_MS / 1000} s …`);
    const idle = await watchIdle(await startAgent(fleet, "idle", builds.older.binaryPath, signal), signal);
    const busy = await startAgent(fleet, "busy", former, signal);
    const over = new AbortController();
    const watched = watchCost(busy.processId, DOWNLOAD_LOOK_MS, AbortSignal.any([signal, over.signal]));
    const update = await updateHost(fleet.client, fleet.watch, busy.hostId, signal).finally(() => over.abort());
    const download = await watched;
    if (!update.succeeded) throw new Error(`the update ${describeJob(update.job)}`);

    print("agent          RssAnon MiB   CPU % of a core   CPU ms");
    printCost("idle", idle, print);
    printCost("downloading", download, print);
    const downloadedBytes = Number(update.job.bytesDelivered);
    print(`downloaded ${(downloadedBytes / 1024 / 1024).toFixed(1)} MiB; allowed idle: 25 MiB and 0.1 %`);
    return { idle, download, downloadedBytes, limits: LIMITS, problems: findProblems(idle) };
  },
};

interface RunningAgent {
  readonly hostId: string;
  readonly processId: number;
}

/** Resolves once the agent is connected. */
async function startAgent(
  fleet: DemoFleet,
  name: string,
  binaryPath: string,
  signal: AbortSignal,
): Promise<RunningAgent> {
  const host = await fleet.enrollHost(name, binaryPath, signal);
  fleet.start(host);
  const hostId = await fleet.waitUntilOnline(name, signal);
  const processId = await findProcess(host.binaryPath);
  if (processId === undefined) throw new Error(`no agent runs:\n${await readFile(host.logPath, "utf8")}`);
  return { hostId, processId };
}

async function watchIdle({ processId }: RunningAgent, signal: AbortSignal): Promise<Cost> {
  await systemClock.sleep(SETTLE_MS, signal);
  const over = new AbortController();
  const watched = watchCost(processId, IDLE_LOOK_MS, AbortSignal.any([signal, over.signal]));
  await systemClock.sleep(IDLE_MS, signal).finally(() => over.abort());
  return await watched;
}

/** Looks again and again until the process ends or `signal` is aborted. */
async function watchCost(processId: number, everyMs: number, signal: AbortSignal): Promise<Cost> {
  const startedMs = stopwatchMs();
  const first = await readCost(processId);
  if (first === undefined) throw new Error("the agent ended");
  let last: ProcessCost = first;
  let lastMs = startedMs;
  let anonymousBytes = first.anonymousBytes;
  for (;;) {
    const isOver = await systemClock.sleep(everyMs, signal).then(
      () => false,
      () => true,
    );
    const cost = await readCost(processId);
    // A process that exits has given its memory back before it is gone.
    if (cost === undefined || cost.cpuMs < last.cpuMs) break;
    [last, lastMs] = [cost, stopwatchMs()];
    anonymousBytes = Math.max(anonymousBytes, cost.anonymousBytes);
    if (isOver) break;
  }
  const [cpuMs, elapsedMs] = [last.cpuMs - first.cpuMs, lastMs - startedMs];
  return { anonymousBytes, cpuMs, cpuPercent: (100 * cpuMs) / elapsedMs, elapsedMs: Math.round(elapsedMs) };
}

function printCost(what: string, cost: Cost, print: (line: string) => void): void {
  const mebibytes = (cost.anonymousBytes / 1024 / 1024).toFixed(1);
  print(
    `${what.padEnd(14)} ${mebibytes.padStart(11)} ${cost.cpuPercent.toFixed(3).padStart(17)} ${String(cost.cpuMs).padStart(8)}`,
  );
}

function findProblems(idle: Cost): readonly string[] {
  const problems: string[] = [];
  if (idle.anonymousBytes > LIMITS.anonymousBytes) problems.push("an idle agent takes more memory than it may");
  if (idle.cpuPercent > LIMITS.cpuPercent) problems.push("an idle agent takes more processor time than it may");
  return problems;
}

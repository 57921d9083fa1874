/**
 * A fleet that lives for a while: agents leave and come back in their first version,
 * fleet updates bring them forward again. The server's memory has to stay where it was
 * once it was warm, and nobody may be lost.
 */
import { systemClock } from "../../agent/clock-system.ts";
import { OfflinePolicy } from "../../gen/rollcall/v1/rollout_pb.js";
import { readBooks, serverContender } from "./contender.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { gaugeHeap, INSPECTED } from "./heap-gauge.ts";
import { AT_A_TIME, Generators, HEARTBEAT_MS } from "./load/generators.ts";
import { median } from "./median.ts";
import { runFleetUpdate } from "./run-fleet-update.ts";
import { findSessionProblems } from "./session-check.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded, Table } from "./table.ts";

const AGENTS = 10_000;
const MINUTES = 30;
/** Agents of a hundred that leave and come back, a minute. */
const CHURN_PERCENT = 2;
/** The first part of the time, in which a server warms up. */
const WARM_UP_SHARE = 1 / 6;
const SAMPLES_A_MINUTE = 12;
const GREATEST_GROWTH = 1.1;
const RESTART_MS = 100;
const MIB = 1_048_576;
const HOSTS_PER_FLIGHT = 20;
const BREAK_MS = 1_000;
/** How long agents may take to be all back once nobody leaves any more. */
const RETURN_MS = 120_000;

/** How long, and how lively. */
export interface SoakPlan {
  readonly minutes: number;
  readonly percentAMinute: number;
}

/** Memory after the warm-up and at the end. *Units*: MiB. */
export interface Growth {
  readonly warmMiB: number;
  readonly endMiB: number;
  /** End by warm. */
  readonly growth: number;
}

/** What a soak came to. */
export interface SoakResult {
  readonly agents: number;
  readonly fleetUpdates: number;
  /** Updates that agents carried out. */
  readonly updates: number;
  readonly resident: Growth;
  /** Of what is in use once garbage is collected. */
  readonly heap: Growth;
  /** Disagreements about who is connected. */
  readonly problems: readonly string[];
}

/** Half an hour with ten thousand agents. */
export const soakSuite: Suite = {
  name: "soak",
  async run(print, signal, { agents = [AGENTS], minutes = MINUTES }) {
    const soaks = [];
    const problems: string[] = [];
    for (const count of agents) {
      await using crowd = await gatherCrowd(count, signal, { environment: INSPECTED });
      const soak = await runSoak(crowd, { minutes, percentAMinute: CHURN_PERCENT }, print, signal);
      soaks.push(soak);
      problems.push(...soak.problems);
      for (const [what, { warmMiB, endMiB, growth }] of Object.entries({ resident: soak.resident, heap: soak.heap })) {
        print(`${what}: ${warmMiB} MiB after the warm-up, ${endMiB} MiB at the end`);
        if (growth > GREATEST_GROWTH) problems.push(`the server's ${what} memory grew to ${growth} of what it was`);
      }
    }
    for (const problem of problems) print(problem);
    return { soaks, problems };
  },
};

/** Runs one, and prints a row a minute. The server has to be one whose heap can be gauged. */
export async function runSoak(
  crowd: Crowd,
  plan: SoakPlan,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<SoakResult> {
  await using generators = new Generators(signal);
  await generators.gather(crowd.target, CROWD_VERSION, crowd.hosts);
  await generators.beat(HEARTBEAT_MS);
  await generators.connect({ atATime: AT_A_TIME, spreadMs: 0 });
  await generators.obey({ kind: "update", restartMs: RESTART_MS });
  await generators.churn(plan.percentAMinute);
  const over = new AbortController();
  const updating = keepUpdating(crowd, over.signal, signal);
  const samples = await watchMemory(crowd, generators, plan, print, signal);
  over.abort();
  await generators.churn(0);
  const fleetUpdates = await updating;
  await untilAllBack(generators, crowd.hosts.length, signal);
  const { residentMiB, warmHeapMiB, updates, warmUp } = samples;
  return {
    agents: crowd.hosts.length,
    fleetUpdates,
    updates,
    resident: growthOf(median(residentMiB.slice(warmUp, warmUp * 2)), median(residentMiB.slice(-warmUp))),
    heap: growthOf(warmHeapMiB, (await gaugeHeap(crowd.server.log)) / MIB),
    problems: await findSessionProblems(crowd, await generators.sessions()),
  };
}

async function watchMemory(
  crowd: Crowd,
  generators: Generators,
  { minutes, percentAMinute }: SoakPlan,
  print: (line: string) => void,
  signal: AbortSignal,
) {
  const contender = serverContender(crowd);
  const count = minutes * SAMPLES_A_MINUTE;
  const warmUp = Math.max(1, Math.round(count * WARM_UP_SHARE));
  const table = new Table(["minute", "RSS MiB", "cpu ms/minute", "database ms/minute", "updates"], print);
  const residentMiB: number[] = [];
  let [updates, warmHeapMiB] = [0, 0];
  let last = await readBooks(contender);
  for (let sample = 1; sample <= count; sample += 1) {
    await systemClock.sleep(60_000 / SAMPLES_A_MINUTE, signal);
    const books = await readBooks(contender);
    residentMiB.push(books.residentBytes / MIB);
    updates += (await generators.sightings()).updates;
    if (sample === warmUp * 2) {
      // Both times are compared with everybody there: a connection is memory too.
      await generators.churn(0);
      await untilAllBack(generators, crowd.hosts.length, signal);
      warmHeapMiB = (await gaugeHeap(crowd.server.log)) / MIB;
      await generators.churn(percentAMinute);
    }
    if (sample % SAMPLES_A_MINUTE !== 0) continue;
    const [cpuMs, databaseCpuMs] = [books.cpuMs - last.cpuMs, books.databaseCpuMs - last.databaseCpuMs];
    table.row([sample / SAMPLES_A_MINUTE, Math.round(books.residentBytes / MIB), cpuMs, databaseCpuMs, updates]);
    last = books;
  }
  return { residentMiB, warmHeapMiB, updates, warmUp };
}

function growthOf(warmMiB: number, endMiB: number): Growth {
  return { warmMiB: rounded(warmMiB, 1), endMiB: rounded(endMiB, 1), growth: rounded(endMiB / warmMiB, 3) };
}

/** One fleet update after the other until `over`; the last one is waited for. How many there were. */
async function keepUpdating(crowd: Crowd, over: AbortSignal, signal: AbortSignal): Promise<number> {
  const client = await crowd.server.fleet();
  const { length } = crowd.hosts;
  const policy = {
    maxInFlight: Math.ceil(length / HOSTS_PER_FLIGHT),
    // Who leaves in the middle of an update may fail it.
    maxFailures: length,
    offline: OfflinePolicy.SKIP,
  };
  let count = 0;
  while (!over.aborted) {
    if ((await runFleetUpdate(client, policy, signal)) !== undefined) count += 1;
    await systemClock.sleep(BREAK_MS, signal);
  }
  return count;
}

async function untilAllBack(generators: Generators, count: number, signal: AbortSignal): Promise<void> {
  const startedMs = stopwatchMs();
  while (stopwatchMs() - startedMs < RETURN_MS) {
    if ((await generators.sessions()).length === count) return;
    await systemClock.sleep(BREAK_MS, signal);
  }
}

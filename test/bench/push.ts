/**
 * A command to every agent at once: how long until the last one has it, and what each
 * costs. The server's listener is measured alone, against peers that write to their
 * sockets; and the server whole, where each command is a job of its own in the database.
 */
import { loadavg } from "node:os";
import { systemClock } from "../../agent/clock-system.ts";
import { peerContender, readBooks, serverContender, untilEmpty, type Contender } from "./contender.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { AT_A_TIME, Generators, HEARTBEAT_MS, SETTLE_MS } from "./load/generators.ts";
import { median } from "./median.ts";
import { Peer } from "./peer/peer.ts";
import { quantile } from "./quantile.ts";
import { machineMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded, Table } from "./table.ts";

const SIZES = [10_000];
const PEER_NAMES = ["grpc echo", "ws echo", "listener"] as const;
const ROUNDS = 3;
const POLL_MS = 100;
const GREATEST_P99_MS = 1_000;
const GREATEST_RATIO = 2;
const TITLES = ["server    ", "agents", "p50 ms", "p99 ms", "max ms", "cpu us/message", "database us", " load"];

/** One command to everybody. */
interface Push {
  readonly contender: string;
  readonly agents: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly usPerMessage: number;
  readonly databaseUsPerMessage: number;
  readonly loadAverage: number;
}

/** Commands to all. */
export const pushSuite: Suite = {
  name: "push",
  async run(print, signal, { agents = SIZES }) {
    const table = new Table(TITLES, print);
    const pushes: Push[] = [];
    const problems: string[] = [];
    for (const count of agents) {
      await using crowd = await gatherCrowd(count, signal);
      const medians = new Map<string, number>();
      for (const name of PEER_NAMES) {
        await using peer = await Peer.start(name, crowd, signal);
        const rounds = await measurePushes(peerContender(peer), crowd, () => peer.push(), ROUNDS, table, signal);
        medians.set(name, median(rounds.map(({ usPerMessage }) => usPerMessage)));
        medians.set(`${name} p99`, median(rounds.map(({ p99Ms }) => p99Ms)));
        pushes.push(...rounds);
      }
      const client = await crowd.server.fleet();
      const startFleetUpdate = async (): Promise<void> => {
        await client.startFleetUpdate({ policy: { maxInFlight: count } });
      };
      pushes.push(...(await measurePushes(serverContender(crowd), crowd, startFleetUpdate, 1, table, signal)));
      const ratio = rounded((medians.get("listener") ?? 0) / (medians.get("grpc echo") ?? 0), 2);
      const p99Ms = medians.get("listener p99") ?? 0;
      print(`a command costs the listener ${ratio} times what it costs the bare echo`);
      if (ratio > GREATEST_RATIO) problems.push(`a command costs ${ratio} echoes, not at most ${GREATEST_RATIO}`);
      if (p99Ms > GREATEST_P99_MS) problems.push(`99 of 100 agents have their command after ${p99Ms} ms, not 1 s`);
    }
    for (const problem of problems) print(problem);
    return { pushes, problems };
  },
};

async function measurePushes(
  contender: Contender,
  { hosts }: Crowd,
  push: () => Promise<void>,
  rounds: number,
  table: Table,
  signal: AbortSignal,
): Promise<readonly Push[]> {
  await using generators = new Generators(signal);
  await generators.gather(contender.target, CROWD_VERSION, hosts);
  await generators.beat(HEARTBEAT_MS);
  await generators.connect({ atATime: AT_A_TIME, spreadMs: 0 });
  const pushes: Push[] = [];
  for (let count = 0; count < rounds; count += 1) {
    await systemClock.sleep(SETTLE_MS, signal);
    const before = await readBooks(contender);
    const startedMs = machineMs();
    await push();
    const latenciesMs = (await untilCommanded(generators, hosts.length, signal)).map((atMs) => atMs - startedMs);
    const after = await readBooks(contender);
    const one: Push = {
      contender: contender.name,
      agents: hosts.length,
      p50Ms: Math.round(quantile(latenciesMs, 0.5)),
      p99Ms: Math.round(quantile(latenciesMs, 0.99)),
      maxMs: Math.round(quantile(latenciesMs, 1)),
      usPerMessage: Math.round(((after.cpuMs - before.cpuMs) * 1_000) / hosts.length),
      databaseUsPerMessage: Math.round(((after.databaseCpuMs - before.databaseCpuMs) * 1_000) / hosts.length),
      loadAverage: rounded(loadavg()[0] ?? 0, 1),
    };
    pushes.push(one);
    table.row(Object.values(one) as (string | number)[]);
  }
  await generators.drop();
  await untilEmpty(contender, signal);
  return pushes;
}

/** When each agent had its command. */
async function untilCommanded(generators: Generators, count: number, signal: AbortSignal): Promise<readonly number[]> {
  const atMs: number[] = [];
  while (atMs.length < count) {
    await systemClock.sleep(POLL_MS, signal);
    atMs.push(...(await generators.sightings()).commandsAtMs);
  }
  return atMs;
}

/**
 * A fleet that connects all at once: what each Hello costs the server (TLS, credential,
 * database, Welcome), against peers that do less of it in the same run.
 */
import { loadavg } from "node:os";
import { systemClock } from "../../agent/clock-system.ts";
import { peerContender, readBooks, serverContender, untilEmpty, type Contender } from "./contender.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { AT_A_TIME, Generators, SETTLE_MS } from "./load/generators.ts";
import type { ArrivalPlan } from "./load/orders.ts";
import { Peer } from "./peer/peer.ts";
import { findSessionProblems } from "./session-check.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded, Table } from "./table.ts";

const SIZES = [1_000, 10_000];
const PEER_NAMES = ["grpc echo", "ws echo", "listener"] as const;
const TITLES = [
  "server    ",
  "arrival ",
  "cpu us/hello",
  "database us",
  "hellos/s",
  "cpu us/close",
  "RSS MiB",
  " load",
  "failed attempts ",
];
/** Often enough to stay connected while the others come, and too rare to be much of the cost. */
const STORM_HEARTBEAT_MS = 30_000;
/** How much more of the processor than the bare echo a Hello may take. */
const GREATEST_RATIO = 1.25;

/** One arrival of everybody at one contender. */
interface Round {
  readonly contender: string;
  readonly round: string;
  readonly usPerHello: number;
  readonly databaseUsPerHello: number;
  readonly hellosPerSecond: number;
  readonly usPerClose: number;
  readonly residentMiB: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly loadAverage: number;
}

/** Cost of a Hello, in order and all at once. */
export const stormSuite: Suite = {
  name: "storm",
  async run(print, signal, { agents = SIZES }) {
    const sizes = [];
    for (const count of agents) sizes.push(await measureSize(count, print, signal));
    return { sizes, problems: sizes.flatMap(({ problems }) => problems) };
  },
};

async function measureSize(count: number, print: (line: string) => void, signal: AbortSignal) {
  await using parts = new AsyncDisposableStack();
  const crowd = parts.use(await gatherCrowd(count, signal));
  const peers = [];
  for (const name of PEER_NAMES) peers.push(parts.use(await Peer.start(name, crowd, signal)));
  const generators = parts.use(new Generators(signal));
  const server = serverContender(crowd);
  const contenders = [...peers.map(peerContender), server];
  const rounds: Round[] = [];
  const problems: string[] = [];
  print(`${count} agents`);
  const table = new Table(TITLES, print);
  const measure = async (contender: Contender, name: string, plan: ArrivalPlan): Promise<void> => {
    const found = contender === server ? problems : undefined;
    const round = await measureRound({ crowd, contender, generators, name, plan, problems: found }, signal);
    rounds.push(round);
    table.row(cellsOf(round));
  };
  for (const name of ["first", "again"])
    for (const contender of contenders) await measure(contender, name, { atATime: AT_A_TIME, spreadMs: 0 });
  await measure(server, "at once", { spreadMs: 1_000 });

  const costOf = (contender: string, name: string): number =>
    rounds.find((round) => round.contender === contender && round.round === name)?.usPerHello ?? Number.NaN;
  const ratios = {
    first: rounded(costOf("rollcall", "first") / costOf("grpc echo", "first"), 2),
    again: rounded(costOf("rollcall", "again") / costOf("grpc echo", "again"), 2),
  };
  print(`a Hello costs the server ${ratios.again} times what it costs the bare echo (the first time ${ratios.first})`);
  if (ratios.again > GREATEST_RATIO)
    problems.push(`${count} agents: a Hello costs ${ratios.again} echoes, not at most ${GREATEST_RATIO}`);
  for (const problem of problems) print(problem);
  return { agents: count, ratios, rounds, problems };
}

interface RoundOrder {
  readonly crowd: Crowd;
  readonly contender: Contender;
  readonly generators: Generators;
  readonly name: string;
  readonly plan: ArrivalPlan;
  /** Where disagreements about who is connected are put; absent for a peer, which keeps no books. */
  readonly problems: string[] | undefined;
}

async function measureRound(order: RoundOrder, signal: AbortSignal): Promise<Round> {
  const { crowd, contender, generators, name, plan, problems } = order;
  const count = crowd.hosts.length;
  await generators.gather(contender.target, CROWD_VERSION, crowd.hosts);
  await generators.beat(STORM_HEARTBEAT_MS);
  const before = await readBooks(contender);
  const startedMs = stopwatchMs();
  const { failures } = await generators.connect(plan);
  const elapsedMs = stopwatchMs() - startedMs;
  await systemClock.sleep(SETTLE_MS, signal);
  const after = await readBooks(contender);
  const loadAverage = loadavg()[0] ?? 0;
  const losses = Object.entries((await generators.sightings()).losses);
  problems?.push(
    ...losses.map(([cause, times]) => `${name}: ${times} sessions were lost: ${cause}`),
    ...(await findSessionProblems(crowd, await generators.sessions())).map((problem) => `${name}: ${problem}`),
  );
  await generators.drop();
  await untilEmpty(contender, signal);
  const emptied = await readBooks(contender);
  const perAgent = (milliseconds: number): number => Math.round((milliseconds * 1_000) / count);
  return {
    contender: contender.name,
    round: name,
    usPerHello: perAgent(after.cpuMs - before.cpuMs),
    databaseUsPerHello: perAgent(after.databaseCpuMs - before.databaseCpuMs),
    hellosPerSecond: Math.round((count / elapsedMs) * 1_000),
    usPerClose: perAgent(emptied.cpuMs - after.cpuMs),
    residentMiB: Math.round(after.residentBytes / 1_048_576),
    failures,
    loadAverage: rounded(loadAverage, 1),
  };
}

function cellsOf(round: Round): readonly (string | number)[] {
  const failures = Object.entries(round.failures).map(([cause, times]) => `${times} ${cause}`);
  return [
    round.contender,
    round.round,
    round.usPerHello,
    round.databaseUsPerHello,
    round.hellosPerSecond,
    round.usPerClose,
    round.residentMiB,
    round.loadAverage,
    failures.length === 0 ? "none" : failures.join(", "),
  ];
}

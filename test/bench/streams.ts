/**
 * What an agent costs a server in memory and processor time, as ever more of them are
 * connected: the cost of one must not rise with their number.
 */
import { loadavg } from "node:os";
import { systemClock } from "../../agent/clock-system.ts";
import { peerContender, readBooks, serverContender, untilEmpty, type Contender } from "./contender.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { AT_A_TIME, Generators, HEARTBEAT_MS, SETTLE_MS } from "./load/generators.ts";
import { Peer } from "./peer/peer.ts";
import { findSessionProblems } from "./session-check.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded, Table } from "./table.ts";

const STEPS = [1_000, 2_000, 5_000, 10_000];
const PEER_NAMES = ["grpc echo", "ws echo"] as const;
/** Every agent beats once in it. */
const WINDOW_MS = HEARTBEAT_MS;
const GREATEST_RESIDENT_MIB = 1.2 * 1024;
/** How much more an agent may cost among the most than among the fewest: processor time is not measured more exactly. */
const GREATEST_GROWTH = 1.15;
const TITLES = [
  "server    ",
  "agents",
  "RSS MiB",
  "KiB/agent",
  "cpu us/hello",
  "idle % of a core",
  "us/agent/min",
  " load",
];

/** One number of agents at one contender. */
interface Step {
  readonly contender: string;
  readonly agents: number;
  readonly residentMiB: number;
  readonly kibPerAgent: number;
  readonly usPerHello: number;
  readonly idlePercent: number;
  readonly usPerAgentMinute: number;
  readonly loadAverage: number;
}

/** Memory and processor time an agent, for rising numbers of them. */
export const streamsSuite: Suite = {
  name: "streams",
  async run(print, signal, { agents = STEPS }) {
    await using parts = new AsyncDisposableStack();
    const crowd = parts.use(await gatherCrowd(Math.max(...agents), signal));
    const generators = parts.use(new Generators(signal));
    const table = new Table(TITLES, print);
    const problems: string[] = [];
    const steps: Step[] = [];
    const climb = async (contender: Contender): Promise<readonly Step[]> => {
      const climbed = await climbSteps({ crowd, contender, generators, agents }, table, signal);
      steps.push(...climbed);
      return climbed;
    };
    for (const name of PEER_NAMES) {
      await using peer = await Peer.start(name, crowd, signal);
      await climb(peerContender(peer));
      await generators.drop();
    }
    const server = serverContender(crowd);
    problems.push(...judge(await climb(server)), ...(await findSessionProblems(crowd, await generators.sessions())));
    await generators.drop();
    await untilEmpty(server, signal);
    for (const problem of problems) print(problem);
    return { steps, problems };
  },
};

interface Climb {
  readonly crowd: Crowd;
  readonly contender: Contender;
  readonly generators: Generators;
  readonly agents: readonly number[];
}

async function climbSteps(
  { crowd, contender, generators, agents }: Climb,
  table: Table,
  signal: AbortSignal,
): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const empty = await readBooks(contender);
  await generators.gather(contender.target, CROWD_VERSION, crowd.hosts);
  await generators.beat(HEARTBEAT_MS);
  let connected = 0;
  for (const upTo of agents) {
    const before = await readBooks(contender);
    await generators.connect({ atATime: AT_A_TIME, spreadMs: 0, upTo });
    await systemClock.sleep(SETTLE_MS, signal);
    const settled = await readBooks(contender);
    const startedMs = stopwatchMs();
    await systemClock.sleep(WINDOW_MS, signal);
    const idle = await readBooks(contender);
    const idleShare = (idle.cpuMs - settled.cpuMs) / (stopwatchMs() - startedMs);
    const step: Step = {
      contender: contender.name,
      agents: upTo,
      residentMiB: Math.round(idle.residentBytes / 1_048_576),
      kibPerAgent: rounded((idle.residentBytes - empty.residentBytes) / 1_024 / upTo, 1),
      usPerHello: Math.round(((settled.cpuMs - before.cpuMs) * 1_000) / (upTo - connected)),
      idlePercent: rounded(idleShare * 100, 1),
      usPerAgentMinute: Math.round((idleShare * 60_000_000) / upTo),
      loadAverage: rounded(loadavg()[0] ?? 0, 1),
    };
    connected = upTo;
    steps.push(step);
    table.row(Object.values(step) as (string | number)[]);
  }
  return steps;
}

function judge(steps: readonly Step[]): readonly string[] {
  const [fewest, most] = [steps[0], steps.at(-1)];
  if (fewest === undefined || most === undefined) return [];
  const problems: string[] = [];
  if (most.residentMiB > GREATEST_RESIDENT_MIB) {
    problems.push(`${most.agents} agents take ${most.residentMiB} MiB, not at most ${GREATEST_RESIDENT_MIB}`);
  }
  for (const cost of ["kibPerAgent", "usPerHello", "usPerAgentMinute"] as const) {
    if (most[cost] > fewest[cost] * GREATEST_GROWTH)
      problems.push(
        `${cost} rises from ${fewest[cost]} with ${fewest.agents} agents to ${most[cost]} with ${most.agents}`,
      );
  }
  return problems;
}

/**
 * A fleet update of simulated agents through one real server process on its own
 * PostgreSQL. Each agent asks of the server all that an update asks, and comes back as the
 * new version. What the database is asked is counted by PostgreSQL itself; how fast
 * agents can be told and come back at all, by a bare grpc-js echo in the same run.
 */
import { loadavg } from "node:os";
import type pg from "pg";
import { systemClock } from "../../agent/clock-system.ts";
import { readBooks, serverContender } from "./contender.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { AT_A_TIME, Generators, HEARTBEAT_MS, SETTLE_MS } from "./load/generators.ts";
import { Peer } from "./peer/peer.ts";
import { runFleetUpdate } from "./run-fleet-update.ts";
import { findSessionProblems } from "./session-check.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded } from "./table.ts";

const SIZES = [1_000, 10_000];
/** One in so many hosts updates at a time. */
const HOSTS_PER_FLIGHT = 20;
const RESTART_MS = 100;
const LEAST_HOSTS_PER_SECOND = 150;
/** Or at least this much of what a bare echo reaches. */
const LEAST_SHARE_OF_BARE = 0.6;
const MOST_STATEMENTS = 12;

/** Hosts a second, and what the database does for each. */
export const fleetSuite: Suite = {
  name: "fleet",
  async run(print, signal, { agents = SIZES }) {
    const sizes = [];
    for (const count of agents) sizes.push(await measureFleet(count, print, signal));
    return { sizes, problems: sizes.flatMap(({ problems }) => problems) };
  },
};

async function measureFleet(count: number, print: (line: string) => void, signal: AbortSignal) {
  const settings = { shared_preload_libraries: "pg_stat_statements" };
  await using crowd = await gatherCrowd(count, signal, { settings });
  const maxInFlight = Math.ceil(count / HOSTS_PER_FLIGHT);
  const bareMs = await measureBare(crowd, maxInFlight, signal);
  const updated = await measureUpdate(crowd, maxInFlight, signal);
  const hostsPerSecond = (count / updated.elapsedMs) * 1_000;
  const bareHostsPerSecond = (count / bareMs) * 1_000;
  const facts = {
    hosts: count,
    maxInFlight,
    succeeded: updated.succeeded,
    elapsedMs: Math.round(updated.elapsedMs),
    hostsPerSecond: rounded(hostsPerSecond, 1),
    bareHostsPerSecond: rounded(bareHostsPerSecond, 1),
    shareOfBare: rounded(hostsPerSecond / bareHostsPerSecond, 2),
    cpuUsPerHost: Math.round((updated.cpuMs * 1_000) / count),
    databaseUsPerHost: Math.round((updated.databaseCpuMs * 1_000) / count),
    statementsPerHost: rounded(updated.statements / count, 1),
    rowsPerHost: rounded(updated.rows / count, 1),
    walBytesPerHost: Math.round(updated.walBytes / count),
    loadAverage: rounded(loadavg()[0] ?? 0, 1),
  };
  for (const [name, value] of Object.entries(facts)) print(`${name.padEnd(20)}${String(value).padStart(12)}`);
  const problems = [...updated.problems];
  if (facts.succeeded !== count) problems.push(`${facts.succeeded} of ${count} hosts were updated`);
  if (hostsPerSecond < LEAST_HOSTS_PER_SECOND && facts.shareOfBare < LEAST_SHARE_OF_BARE) {
    problems.push(
      `${facts.hostsPerSecond} hosts a second: neither ${LEAST_HOSTS_PER_SECOND} nor ${LEAST_SHARE_OF_BARE} of ${facts.bareHostsPerSecond}`,
    );
  }
  if (facts.statementsPerHost > MOST_STATEMENTS)
    problems.push(`${facts.statementsPerHost} statements a host, not at most ${MOST_STATEMENTS}`);
  for (const problem of problems) print(problem);
  return { ...facts, problems };
}

/** *Units*: milliseconds for all of them, told and come back, so many at a time. */
async function measureBare(crowd: Crowd, inFlight: number, signal: AbortSignal): Promise<number> {
  await using generators = new Generators(signal);
  await using peer = await Peer.start("grpc echo", crowd, signal);
  await generators.gather(peer.target, CROWD_VERSION, crowd.hosts);
  await generators.connect({ atATime: AT_A_TIME, spreadMs: 0 });
  await generators.obey({ kind: "restart", restartMs: RESTART_MS });
  await systemClock.sleep(SETTLE_MS, signal);
  const startedMs = stopwatchMs();
  await peer.roll(inFlight);
  return stopwatchMs() - startedMs;
}

async function measureUpdate(crowd: Crowd, maxInFlight: number, signal: AbortSignal) {
  const { database, server } = crowd;
  const contender = serverContender(crowd);
  await using generators = new Generators(signal);
  await generators.gather(contender.target, CROWD_VERSION, crowd.hosts);
  await generators.beat(HEARTBEAT_MS);
  await generators.connect({ atATime: AT_A_TIME, spreadMs: 0 });
  await generators.obey({ kind: "update", restartMs: RESTART_MS });
  await systemClock.sleep(SETTLE_MS, signal);
  await database.query("create extension if not exists pg_stat_statements");
  await database.query("select pg_stat_statements_reset()");
  const walBefore = await walPosition(database);
  const before = await readBooks(contender);
  const startedMs = stopwatchMs();
  const ended = await runFleetUpdate(await server.fleet(), { maxInFlight }, signal);
  const elapsedMs = stopwatchMs() - startedMs;
  const after = await readBooks(contender);
  const asked = await database.query<{ calls: string; rows: string }>(
    "select sum(calls) as calls, sum(rows) as rows from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database())",
  );
  const walBytes = (await walPosition(database)) - walBefore;
  const { losses } = await generators.sightings();
  return {
    elapsedMs,
    succeeded: ended?.counts?.succeeded ?? 0,
    cpuMs: after.cpuMs - before.cpuMs,
    databaseCpuMs: after.databaseCpuMs - before.databaseCpuMs,
    statements: Number(asked.rows[0]?.calls),
    rows: Number(asked.rows[0]?.rows),
    walBytes,
    problems: [
      ...Object.entries(losses).map(([cause, times]) => `${times} agents met ${cause}`),
      ...(ended?.haltReason ? [`it halted: ${ended.haltReason}`] : []),
      ...(await findSessionProblems(crowd, await generators.sessions())),
    ],
  };
}

async function walPosition(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ bytes: string }>("select pg_current_wal_lsn() - '0/0' as bytes");
  return Number(rows[0]?.bytes);
}

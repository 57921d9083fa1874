/**
 * Two servers on one database, half of the agents at each, and a fleet update. The
 * server that leads it is killed, then the database is restarted. How long until every
 * agent of the killed one is back at the other, and whether each host was brought to the
 * new version, and once.
 */
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadavg } from "node:os";
import pg from "pg";
import { systemClock } from "../../agent/clock-system.ts";
import { FleetUpdateState, type FleetUpdate } from "../../gen/rollcall/v1/rollout_pb.js";
import { ServerChild } from "../support/server-child.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { AT_A_TIME, Generators, HEARTBEAT_MS } from "./load/generators.ts";
import { findSessionProblems } from "./session-check.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded } from "./table.ts";

const SIZES = [10_000];
const HOSTS_PER_FLIGHT = 20;
const RESTART_MS = 100;
const POLL_MS = 200;
/** Shares of the fleet that are updated when the server is killed, and when the database is restarted. */
const [KILLED_AT, RESTARTED_AT] = [0.2, 0.6];
const LONGEST_RETURN_MS = 30_000;

/** What becomes of hosts whose server, or whose database, ends. */
export const replicasSuite: Suite = {
  name: "replicas",
  async run(print, signal, { agents = SIZES }) {
    const sizes = [];
    for (const count of agents) sizes.push(await measureLoss(count, print, signal));
    return { sizes, problems: sizes.flatMap(({ problems }) => problems) };
  },
};

async function measureLoss(count: number, print: (line: string) => void, signal: AbortSignal) {
  await using crowd = await gatherCrowd(count, signal);
  await using second = await startSecond(crowd);
  await using generators = new Generators(signal);
  // It breaks when the database is restarted.
  crowd.database.on("error", () => undefined);
  const otherPorts = [Number(second.agents.split(":").at(-1))];
  await generators.gather({ ...crowd.target, otherPorts }, CROWD_VERSION, crowd.hosts);
  await generators.obey({ kind: "update", restartMs: RESTART_MS });
  await generators.connect({ atATime: AT_A_TIME, spreadMs: 0 });
  await generators.beat(HEARTBEAT_MS);
  const fleet = await second.fleet();
  // Told to the first, which looks first and so leads.
  const started = await (await crowd.server.fleet()).startFleetUpdate({
    policy: { maxInFlight: Math.ceil(count / HOSTS_PER_FLIGHT) },
  });
  const fleetUpdateId = started.fleetUpdate?.id ?? "";
  const look = async (): Promise<FleetUpdate> =>
    (await fleet.getFleetUpdate({ fleetUpdateId })).fleetUpdate ?? Promise.reject(new Error("no such fleet update"));
  const untilUpdated = async (share: number): Promise<FleetUpdate> => {
    for (;;) {
      const update = await look().catch(() => undefined);
      const hasEnded = update !== undefined && update.state !== FleetUpdateState.RUNNING;
      if (update !== undefined && (hasEnded || (update.counts?.succeeded ?? 0) >= share * count)) return update;
      await systemClock.sleep(POLL_MS, signal);
    }
  };
  const startedMs = stopwatchMs();
  await untilUpdated(KILLED_AT);
  const lost = await listHostsOf(crowd, await crowd.server.replicaId());
  await crowd.server.kill();
  const returnMs = await measureReturn(crowd, lost, await second.replicaId(), signal);
  await untilUpdated(RESTARTED_AT);
  await restartDatabase(crowd);
  const ended = await untilUpdated(1);
  const elapsedMs = stopwatchMs() - startedMs;

  const database = new pg.Client({ connectionString: crowd.databaseUrl });
  await database.connect();
  const problems = await findProblems(
    { ...crowd, database, target: { ...crowd.target, port: otherPorts[0] ?? 0 } },
    ended,
    generators,
  );
  if (returnMs > LONGEST_RETURN_MS) problems.push(`the last agent was back after ${Math.round(returnMs)} ms`);
  await database.end();
  const facts = {
    hosts: count,
    hostsOfKilledServer: lost.length,
    returnMs: Math.round(returnMs),
    succeeded: ended.counts?.succeeded ?? 0,
    hostsPerSecond: rounded((count / elapsedMs) * 1_000, 1),
    load: rounded(loadavg()[0] ?? 0, 1),
    problems,
  };
  for (const [name, value] of Object.entries(facts)) print(`${name.padEnd(22)}${String(value).padStart(12)}`);
  return facts;
}

/** A server with the keys of the first. */
async function startSecond(crowd: Crowd): Promise<ServerChild> {
  const dataDir = join(dirname(crowd.dataDir), "second");
  for (const kept of ["credential.key", "tls"]) {
    await cp(join(crowd.dataDir, kept), join(dataDir, kept), { recursive: true });
  }
  const server = new ServerChild({
    dataDir,
    releasesDir: join(dirname(crowd.dataDir), "releases"),
    version: "2.0.0",
    databaseUrl: crowd.databaseUrl,
  });
  await server.start();
  return server;
}

async function listHostsOf({ database }: Crowd, replicaId: string): Promise<readonly string[]> {
  const { rows } = await database.query<{ host_id: string }>(
    "select host_id from agent_sessions where replica_id = $1 and closed_at is null",
    [replicaId],
  );
  return rows.map((row) => row.host_id);
}

/** *Units*: milliseconds until each of these hosts has had a session at that server. */
async function measureReturn(
  { database }: Crowd,
  hostIds: readonly string[],
  replicaId: string,
  signal: AbortSignal,
): Promise<number> {
  const startedMs = stopwatchMs();
  for (;;) {
    const { rows } = await database.query<{ count: string }>(
      "select count(*) from agent_sessions where host_id = any($1::uuid[]) and replica_id = $2",
      [hostIds, replicaId],
    );
    if (Number(rows[0]?.count) === hostIds.length) return stopwatchMs() - startedMs;
    await systemClock.sleep(POLL_MS, signal);
  }
}

/** Stops PostgreSQL; who supervises it starts it again. */
async function restartDatabase({ database }: Crowd): Promise<void> {
  const { rows } = await database.query<{ pid: string }>(
    "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid",
  );
  process.kill(Number(rows[0]?.pid), "SIGINT");
}

/** Hosts that were forgotten, or told twice, and what else is not as it should be. */
async function findProblems(crowd: Crowd, ended: FleetUpdate, generators: Generators): Promise<string[]> {
  const { rows } = await crowd.database.query<{ dispatched: string; hosts: string }>(
    `select count(*) as dispatched, count(distinct host_id) as hosts from audit_events
     where action = 'host.update_dispatched'`,
  );
  const count = crowd.hosts.length;
  const facts: readonly (readonly [number, string])[] = [
    [ended.counts?.succeeded ?? 0, "hosts were updated"],
    [Number(rows[0]?.dispatched), "commands were given"],
    [Number(rows[0]?.hosts), "hosts were commanded"],
  ];
  return [
    ...(ended.haltReason === "" ? [] : [`it halted: ${ended.haltReason}`]),
    ...facts.filter(([found]) => found !== count).map(([found, what]) => `${found} of ${count} ${what}`),
    ...(await findSessionProblems(crowd, await generators.sessions())),
  ];
}

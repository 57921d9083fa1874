/** What a connected fleet costs that only sends its heartbeats, and what the database is asked meanwhile. */
import { loadavg } from "node:os";
import type pg from "pg";
import { systemClock } from "../../agent/clock-system.ts";
import { peerContender, readBooks, serverContender, untilEmpty, type Contender } from "./contender.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "./crowd.ts";
import { AT_A_TIME, Generators, HEARTBEAT_MS } from "./load/generators.ts";
import { Peer } from "./peer/peer.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";
import { rounded, Table } from "./table.ts";

const SIZES = [10_000];
const PEER_NAMES = ["grpc echo", "ws echo"] as const;
const WINDOW_MS = 60_000;
const GREATEST_PERCENT = 15;
const TITLES = [
  "server    ",
  "agents",
  "% of a core",
  "us/heartbeat",
  "database %",
  "transactions",
  "rows written",
  " load",
];

/** Processor time of a fleet at rest. */
export const idleSuite: Suite = {
  name: "idle",
  async run(print, signal, { agents = SIZES }) {
    const table = new Table(TITLES, print);
    const rows = [];
    for (const count of agents) {
      await using crowd = await gatherCrowd(count, signal);
      for (const name of PEER_NAMES) {
        await using peer = await Peer.start(name, crowd, signal);
        rows.push(await measureIdle(peerContender(peer), crowd, table, signal));
      }
      rows.push(await measureIdle(serverContender(crowd), crowd, table, signal));
    }
    const problems = rows
      .filter(({ contender, percent }) => contender === "rollcall" && percent > GREATEST_PERCENT)
      .map((row) => `${row.agents} agents at rest take ${row.percent} % of a core, not at most ${GREATEST_PERCENT}`);
    for (const problem of problems) print(problem);
    return { rows, problems };
  },
};

async function measureIdle(contender: Contender, { hosts, database }: Crowd, table: Table, signal: AbortSignal) {
  await using generators = new Generators(signal);
  await generators.gather(contender.target, CROWD_VERSION, hosts);
  await generators.beat(HEARTBEAT_MS);
  await generators.connect({ atATime: AT_A_TIME, spreadMs: 0 });
  // Whatever connecting left behind is done with by then.
  await systemClock.sleep(HEARTBEAT_MS, signal);
  const [before, askedBefore] = [await readBooks(contender), await readWork(database)];
  const startedMs = stopwatchMs();
  await systemClock.sleep(WINDOW_MS, signal);
  const elapsedMs = stopwatchMs() - startedMs;
  const [after, askedAfter] = [await readBooks(contender), await readWork(database)];
  await generators.drop();
  await untilEmpty(contender, signal);
  const cpuMs = after.cpuMs - before.cpuMs;
  const row = {
    contender: contender.name,
    agents: hosts.length,
    percent: rounded((cpuMs / elapsedMs) * 100, 1),
    usPerHeartbeat: Math.round((cpuMs * 1_000) / (hosts.length * (elapsedMs / HEARTBEAT_MS))),
    databasePercent: rounded(((after.databaseCpuMs - before.databaseCpuMs) / elapsedMs) * 100, 1),
    transactions: askedAfter.transactions - askedBefore.transactions,
    rowsWritten: askedAfter.rowsWritten - askedBefore.rowsWritten,
    loadAverage: rounded(loadavg()[0] ?? 0, 1),
  };
  table.row(Object.values(row));
  return row;
}

async function readWork(database: pg.Client): Promise<{ readonly transactions: number; readonly rowsWritten: number }> {
  const { rows } = await database.query<{ transactions: string; written: string }>(
    `select xact_commit as transactions, tup_inserted + tup_updated + tup_deleted as written
     from pg_stat_database where datname = current_database()`,
  );
  return { transactions: Number(rows[0]?.transactions), rowsWritten: Number(rows[0]?.written) };
}

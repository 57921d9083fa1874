/** Opens the database that the configuration names: the embedded one, or the operator's own. */
import type { Kysely } from "kysely";
import type { Config } from "./config.ts";
import type { Clock } from "./domain/clock.ts";
import type { Log } from "./log.ts";
import type { MeterDatabase, PoolMeter } from "./metrics/ports.ts";
import type { NoticeChannel } from "./replicas/ports.ts";
import { startCluster } from "./store/embedded/cluster.ts";
import { migrate } from "./store/migrate.ts";
import { migrations } from "./store/migrations/all.ts";
import { createNoticeChannel } from "./store/notice-channel.ts";
import { openDatabase, SERVER_APPLICATION, type DatabaseConnection } from "./store/open-database.ts";
import type { Db } from "./store/schema.ts";

const POOL_SIZE = 10;
const READING_POOL_SIZE = 4;
const LEASE_POOL_SIZE = 2;
const MIGRATION_TIMEOUT_MS = 600_000;

/** A migrated database. Disposing closes it, and stops it when it is the embedded one. */
export interface OpenDatabase extends AsyncDisposable {
  readonly db: Kysely<Db>;
  /**
   * The same database on connections of its own, for what people look at: agents that
   * report more than can be written queue for the others, and nobody would see anything.
   */
  readonly readingDb: Kysely<Db>;
  /**
   * And again, for this server's place among others: a fleet that reconnects at once must not keep it from renewing
   * its lease.
   */
  readonly leaseDb: Kysely<Db>;
  /** The way to the other servers; none on the embedded database, which is for one. */
  readonly notices: NoticeChannel | undefined;
  /** Aborts when another server took the embedded database. */
  readonly lost: AbortSignal;
}

/** *Throws* Error with a sentence for the operator when it cannot be used. */
export async function openConfiguredDatabase(
  config: Config,
  clock: Clock,
  log: Log,
  meterDatabase: MeterDatabase,
  signal: AbortSignal,
): Promise<OpenDatabase> {
  if (config.databaseUrl !== undefined) {
    const connection: DatabaseConnection = { kind: "url", url: config.databaseUrl };
    await bringUpToDate(connection, log);
    const pools = openPools(connection, log, meterDatabase);
    const onLost = (error: Error): void => log("warn", "other servers are not heard", { error: error.message });
    const notices = createNoticeChannel({ connection, db: pools.leaseDb, clock, onLost });
    return { ...pools, notices, lost: new AbortController().signal };
  }
  const cluster = await startCluster({
    dataDir: config.dataDir,
    clock,
    signal,
    log: ({ level, message, fields }) => log(level, message, fields),
  });
  try {
    const { socketDir, database } = cluster;
    await bringUpToDate({ kind: "socket", socketDir, database, user: cluster.ownerUser }, log);
    const pools = openPools({ kind: "socket", socketDir, database, user: cluster.appUser }, log, meterDatabase);
    return {
      ...pools,
      notices: undefined,
      lost: cluster.lost,
      async [Symbol.asyncDispose]() {
        await pools[Symbol.asyncDispose]();
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function openPools(
  connection: DatabaseConnection,
  log: Log,
  meterDatabase: MeterDatabase,
): Omit<OpenDatabase, "lost" | "notices"> {
  const open = (poolSize: number, meter: PoolMeter): Kysely<Db> =>
    openDatabase({
      connection,
      applicationName: SERVER_APPLICATION,
      poolSize,
      meter,
      onConnectionLost: (error) => log("warn", "database connection lost", { error: error.message }),
    });
  const db = open(POOL_SIZE, meterDatabase("writing"));
  const readingDb = open(READING_POOL_SIZE, meterDatabase("reading"));
  const leaseDb = open(LEASE_POOL_SIZE, meterDatabase("lease"));
  return {
    db,
    readingDb,
    leaseDb,
    async [Symbol.asyncDispose]() {
      await Promise.all([db.destroy(), readingDb.destroy(), leaseDb.destroy()]);
    },
  };
}

async function bringUpToDate(connection: DatabaseConnection, log: Log): Promise<void> {
  const owner = openDatabase({
    connection,
    applicationName: "rollcall migrations",
    poolSize: 1,
    statementTimeoutMs: MIGRATION_TIMEOUT_MS,
  });
  try {
    const applied = await migrate(owner, migrations);
    if (applied.length > 0) log("info", "database migrated", { migrations: applied });
  } finally {
    await owner.destroy();
  }
}

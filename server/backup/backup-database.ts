/** The database that a backup is read from, or restored into, as its owner. */
import type { Kysely } from "kysely";
import type { Config } from "../config.ts";
import type { Clock } from "../domain/clock.ts";
import { startCluster } from "../store/embedded/cluster.ts";
import { DATABASE, OWNER_ROLE } from "../store/embedded/configuration.ts";
import { findRunningCluster } from "../store/embedded/find-running.ts";
import { openDatabase, type DatabaseConnection } from "../store/open-database.ts";
import type { Db } from "../store/schema.ts";

/** One connection of the owner. Disposing ends it, and stops a database that was started for it. */
export interface OwnerDatabase extends AsyncDisposable {
  readonly db: Kysely<Db>;
}

/** What it takes to reach one. */
export interface DatabaseReach {
  readonly config: Pick<Config, "dataDir" | "databaseUrl">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A table that is large takes its time. */
const STATEMENT_TIMEOUT_MS = 3_600_000;

/**
 * Opens the database of an installation: beside its server, or by itself when none runs.
 *
 * *Throws* ClusterError when the embedded one cannot be reached.
 */
export async function openServedDatabase(reach: DatabaseReach): Promise<OwnerDatabase> {
  const { databaseUrl, dataDir } = reach.config;
  if (databaseUrl !== undefined) return connect({ kind: "url", url: databaseUrl });
  const socketDir = await findRunningCluster(dataDir);
  return socketDir === undefined ? openOwnDatabase(reach) : connect(ownerSocket(socketDir));
}

/** Opens the database that a backup is restored into; an embedded one is made when missing, and no server may use it. */
export async function openOwnDatabase({ config, clock, signal }: DatabaseReach): Promise<OwnerDatabase> {
  if (config.databaseUrl !== undefined) return connect({ kind: "url", url: config.databaseUrl });
  const cluster = await startCluster({ dataDir: config.dataDir, clock, signal, log: () => undefined });
  const { db } = connect(ownerSocket(cluster.socketDir));
  return {
    db,
    async [Symbol.asyncDispose]() {
      await db.destroy();
      await cluster.stop();
    },
  };
}

function ownerSocket(socketDir: string): DatabaseConnection {
  return { kind: "socket", socketDir, user: OWNER_ROLE, database: DATABASE };
}

function connect(connection: DatabaseConnection): OwnerDatabase {
  const db = openDatabase({
    connection,
    applicationName: "rollcall backup",
    poolSize: 1,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  return { db, [Symbol.asyncDispose]: () => db.destroy() };
}

/**
 * The one way to the rows, for the embedded database and for one of the operator's
 * own alike. Limits are set on each connection, so that they hold for both: no
 * statement, lock or forgotten transaction of this server lasts longer than they say.
 */
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { PoolMeter } from "../metrics/ports.ts";
import type { Db } from "./schema.ts";

/** By this name a server's connections are known to whoever looks at the database from outside. */
export const SERVER_APPLICATION = "rollcall";

/** Where the database is. */
export type DatabaseConnection =
  | { readonly kind: "socket"; readonly socketDir: string; readonly user: string; readonly database: string }
  /** `postgres://…`, as in `ROLLCALL_DATABASE_URL`. Holds a password: never logged. */
  | { readonly kind: "url"; readonly url: string };

/** How a database is used. */
export interface DatabaseOptions {
  readonly connection: DatabaseConnection;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Connections at most. */
  readonly poolSize: number;
  /** *Units*: milliseconds a statement may take; longer for migrations than for requests. Default 15 s. */
  readonly statementTimeoutMs?: number;
  /** Told of connections that broke; the pool replaces them by itself. */
  readonly onConnectionLost?: (error: Error) => void;
  /** Told of connections and statements. */
  readonly meter?: PoolMeter;
}

const STATEMENT_TIMEOUT_MS = 15_000;
const LOCK_TIMEOUT_MS = 5_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A database that hangs keeps none of its own timeouts: beyond this the connection is given up. */
const HUNG_AFTER_MS = 5_000;

/**
 * Opens a pool of connections. Connects with the first query; `destroy()` ends it.
 *
 * *Shape*: int8 (also `count(*)`) is read as bigint, timestamptz as Date.
 *
 * *Throws* TypeError when the URL is not one of a PostgreSQL database.
 */
export function openDatabase(options: DatabaseOptions): Kysely<Db> {
  const pool = new pg.Pool({ ...connectionSettings(options), max: options.poolSize, idleTimeoutMillis: 60_000 });
  const report = options.onConnectionLost ?? (() => undefined);
  pool.on("error", report);
  // A connection may also break while it is lent out and between two queries; unheard, that would end the process.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const { meter } = options;
  meter?.opened(() => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }));
  return new Kysely<Db>({
    dialect: new PostgresDialect({ pool }),
    ...(meter && { log: ({ queryDurationMillis, level }) => meter.queried(queryDurationMillis, level === "query") }),
  });
}

/**
 * Opens one connection outside of any pool. The caller ends it, and hears its errors.
 *
 * *Throws* the driver's error when it cannot connect.
 */
export async function openConnection(options: Omit<DatabaseOptions, "poolSize">): Promise<pg.Client> {
  const client = new pg.Client({ ...connectionSettings(options), keepAlive: true });
  // One that breaks before anybody listens would end the process.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

function connectionSettings(options: Omit<DatabaseOptions, "poolSize">): pg.ClientConfig {
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  return {
    ...address(options.connection),
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + HUNG_AFTER_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    types: { getTypeParser },
  };
}

function address(connection: DatabaseConnection): pg.ClientConfig {
  if (connection.kind === "url") return { connectionString: checkedUrl(connection.url) };
  const { socketDir, user, database } = connection;
  // Named in full, or `pg` would fill the gaps from PGPORT, PGSSLMODE and their like.
  return { host: socketDir, port: 5432, user, database, ssl: false };
}

function checkedUrl(url: string): string {
  // Not parsed further: `postgresql://user@/database?host=/run/postgresql` is one too, and no URL to `URL`.
  if (/^postgres(ql)?:\/\/./.test(url)) return url;
  // The value itself may hold a password.
  throw new TypeError("ROLLCALL_DATABASE_URL must look like postgres://user:password@host:5432/database");
}

/** Counts and sequences stay exact; everything else is read as `pg` reads it. */
function getTypeParser(oid: number, format?: "text" | "binary"): unknown {
  if (oid === pg.types.builtins.INT8 && format !== "binary") return BigInt;
  const usual: unknown =
    format === "binary" ? pg.types.getTypeParser(oid, format) : pg.types.getTypeParser(oid, "text");
  return usual;
}

import { randomUUID } from "node:crypto";
import type { Kysely } from "kysely";
import pg from "pg";
import { inject } from "vitest";
import { APP_ROLE, OWNER_ROLE, SOCKET_PORT } from "../../server/store/embedded/configuration.ts";
import { openDatabase, type DatabaseConnection } from "../../server/store/open-database.ts";
import type { Db } from "../../server/store/schema.ts";

/** The migrated database that tests clone. */
export const TEMPLATE = "test_template";
/** How the names of cloned databases begin. */
export const TEST_DATABASE_PREFIX = "test_clone_";

/** A database of one test's own, at the newest schema and without rows. */
export interface TestDatabase extends AsyncDisposable {
  /** As the running server sees it: rows, no DDL. */
  readonly db: Kysely<Db>;
  /** As migrations see it, for what the application may not do. */
  readonly ownerDb: Kysely<Db>;
  /** The application's way in. */
  readonly connection: DatabaseConnection;
  /** The same as a `ROLLCALL_DATABASE_URL`, for processes of their own. */
  readonly url: string;
  /** The owner's way in, as a URL: for a server that migrates too. */
  readonly ownerUrl: string;
}

/** Clones the template. Disposing closes both pools, ends other connections and drops the database. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const socketDir = inject("databaseSocketDir");
  const name = `${TEST_DATABASE_PREFIX}${randomUUID().replaceAll("-", "")}`;
  await runAsOwner(
    socketDir,
    `create database ${name} template ${TEMPLATE}`,
    // Rights on a database itself are not cloned; these are the ones that a cluster gives.
    `revoke all on database ${name} from public`,
    `grant connect on database ${name} to ${APP_ROLE}`,
  );
  const connectionOf = (user: string) => ({ kind: "socket", socketDir, user, database: name }) as const;
  const urlOf = (user: string) => `postgresql://${user}@${encodeURIComponent(socketDir)}/${name}`;
  const connection = connectionOf(APP_ROLE);
  const db = openDatabase({ connection, applicationName: "test", poolSize: 8 });
  const ownerDb = openDatabase({ connection: connectionOf(OWNER_ROLE), applicationName: "test-owner", poolSize: 2 });
  return {
    db,
    ownerDb,
    connection,
    url: urlOf(APP_ROLE),
    ownerUrl: urlOf(OWNER_ROLE),
    async [Symbol.asyncDispose]() {
      await Promise.all([db.destroy(), ownerDb.destroy()]);
      await runAsOwner(socketDir, `drop database ${name} with (force)`);
    },
  };
}

/** A connection to the run's maintenance database, not yet connected. */
export function ownerClient(socketDir: string): pg.Client {
  return new pg.Client({ host: socketDir, port: SOCKET_PORT, user: OWNER_ROLE, database: "postgres", ssl: false });
}

async function runAsOwner(socketDir: string, ...statements: readonly string[]): Promise<void> {
  const client = ownerClient(socketDir);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

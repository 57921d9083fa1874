/**
 * One PostgreSQL for a whole test run, with a migrated database that every test's
 * own is cloned from (test-database.ts). Fails the run when a test left its database.
 */
import type pg from "pg";
import type { TestProject } from "vitest/node";
import { DATABASE } from "../../server/store/embedded/configuration.ts";
import { migrate } from "../../server/store/migrate.ts";
import { migrations } from "../../server/store/migrations/all.ts";
import { openDatabase } from "../../server/store/open-database.ts";
import { keepCluster } from "./embedded-cluster.ts";
import { ownerClient, TEMPLATE, TEST_DATABASE_PREFIX } from "./test-database.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Folder of the socket of the run's PostgreSQL. */
    databaseSocketDir: string;
  }
}

/** Called by vitest before the first test; what it returns after the last. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await keepCluster();
  await migrateTemplate(cluster.socketDir);
  project.provide("databaseSocketDir", cluster.socketDir);
  return async () => {
    const left = await leftDatabases(cluster.socketDir);
    await cluster[Symbol.asyncDispose]();
    if (left.length > 0) throw new Error(`tests did not dispose of their databases: ${left.join(", ")}`);
  };
}

async function migrateTemplate(socketDir: string): Promise<void> {
  const db = openDatabase({
    connection: { kind: "socket", socketDir, user: "rollcall_owner", database: DATABASE },
    applicationName: "test-template",
    poolSize: 1,
  });
  await migrate(db, migrations);
  await db.destroy();
  await withOwner(socketDir, async (client) => {
    await client.query(`alter database ${DATABASE} rename to ${TEMPLATE}`);
    // A template that somebody is connected to can't be cloned.
    await client.query(`alter database ${TEMPLATE} with is_template true allow_connections false`);
  });
}

async function leftDatabases(socketDir: string): Promise<readonly string[]> {
  return await withOwner(socketDir, async (client) => {
    const { rows } = await client.query<{ datname: string }>("select datname from pg_database order by datname");
    return rows.map(({ datname }) => datname).filter((name) => name.startsWith(TEST_DATABASE_PREFIX));
  });
}

async function withOwner<T>(socketDir: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = ownerClient(socketDir);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

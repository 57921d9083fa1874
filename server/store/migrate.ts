/**
 * Brings a database to this server's schema. Migrations are numbered, only go
 * forward and are never edited once released. They run as the owner, one server at
 * a time (the migrator holds a lock in the database), all in one transaction.
 *
 * A database that a newer server has migrated is refused: this server does not know
 * what its rows mean.
 */
import { sql, type Kysely } from "kysely";
import { Migrator, type Migration } from "kysely/migration";
import type { Db } from "./schema.ts";

/** The database was migrated by a newer server. Nothing was changed. */
export class SchemaTooNewError extends Error {
  /** Names of the migrations that this server does not know. */
  readonly unknown: readonly string[];

  constructor(unknown: readonly string[]) {
    super(
      `The database was migrated by a newer server (${unknown.join(", ")}); this one does not know its schema. ` +
        "Nothing was changed. Start that newer version, or restore a backup from before it.",
    );
    this.name = "SchemaTooNewError";
    this.unknown = unknown;
  }
}

/**
 * Runs the migrations that this database lacks.
 *
 * *Shape*: the names of those that ran, in order; empty when there was nothing to do.
 *
 * *Throws* SchemaTooNewError; Error when a migration failed (all of them were undone then).
 */
export async function migrate(
  db: Kysely<Db>,
  migrations: Readonly<Record<string, Migration>>,
): Promise<readonly string[]> {
  const unknown = (await listMigrations(db)).filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length > 0) throw new SchemaTooNewError(unknown);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const failed = results.find(({ status }) => status === "Error")?.migrationName;
    throw new Error(`migration ${failed ?? "set"} failed and was undone: ${String(error)}`, { cause: error });
  }
  return results.map(({ migrationName }) => migrationName);
}

/** Names of the migrations that a database has, in order; empty for one that was never migrated. */
export async function listMigrations(db: Kysely<Db>): Promise<readonly string[]> {
  const { rows: tables } = await sql`select where to_regclass('kysely_migration') is not null`.execute(db);
  if (tables.length === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name);
}

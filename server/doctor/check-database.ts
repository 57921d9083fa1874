import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Kysely } from "kysely";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";
import type { Config } from "../config.ts";
import { DATABASE, OWNER_ROLE } from "../store/embedded/configuration.ts";
import { findRunningCluster } from "../store/embedded/find-running.ts";
import { listMigrations } from "../store/migrate.ts";
import { migrations } from "../store/migrations/all.ts";
import { openDatabase, type DatabaseConnection } from "../store/open-database.ts";
import type { Db } from "../store/schema.ts";
import { readServerVersion } from "../store/examine.ts";

/** *Units*: PostgreSQL's own, `major * 10000`. */
const OLDEST_VERSION = 150_000;

/** The findings, and the database where it can be asked. Whoever asked closes it. */
export interface DatabaseExamination {
  readonly findings: readonly Finding[];
  readonly db: Kysely<Db> | undefined;
}

/** Can the database be reached, is it new enough, and has it the schema of this version? */
export async function checkDatabase(config: Config): Promise<DatabaseExamination> {
  const check = "database";
  let db: Kysely<Db> | undefined;
  try {
    const connection = await findConnection(config);
    if (connection === undefined)
      return {
        findings: [
          fail(
            check,
            "The embedded database does not run, since no server does.",
            "Start the server; its log says what is in the way.",
          ),
        ],
        db: undefined,
      };
    db = openDatabase({ connection, applicationName: "rollcall doctor", poolSize: 1 });
    const { number, text } = await readServerVersion(db);
    const reached =
      number < OLDEST_VERSION
        ? fail(check, `It is PostgreSQL ${text}.`, "Move it to PostgreSQL 15 or newer.")
        : ok(check, `PostgreSQL ${text} answers.`);
    return { findings: [reached, checkSchema(await listMigrations(db))], db };
  } catch (error) {
    await db?.destroy();
    return { findings: [explain(config, error)], db: undefined };
  }
}

function explain({ databaseUrl }: Config, error: unknown): Finding {
  // The driver names each address that it tried in an error of its own.
  const all = error instanceof AggregateError ? (error.errors as readonly Error[]) : [error as Error];
  const said = all.map(({ message }) => message.replace(/\.$/, "")).join("; ");
  return databaseUrl === undefined
    ? fail("database", `${said}.`, "Run this as root or as the server's user, and look at the server's log.")
    : fail(
        "database",
        `That of ROLLCALL_DATABASE_URL cannot be used: ${said}.`,
        "Check that it runs, and name, password and network in ROLLCALL_DATABASE_URL.",
      );
}

async function findConnection({ databaseUrl, dataDir }: Config): Promise<DatabaseConnection | undefined> {
  if (databaseUrl !== undefined) return { kind: "url", url: databaseUrl };
  // As root, asking further would make the database's user.
  await access(join(dataDir, "postgres"));
  const socketDir = await findRunningCluster(dataDir);
  return socketDir === undefined ? undefined : { kind: "socket", socketDir, user: OWNER_ROLE, database: DATABASE };
}

function checkSchema(applied: readonly string[]): Finding {
  const check = "schema";
  const known = Object.keys(migrations);
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    return fail(
      check,
      `A newer server migrated it (${unknown.join(", ")}).`,
      "Use that version's server and command line, or restore a backup from before.",
    );
  const missing = known.filter((name) => !applied.includes(name));
  return missing.length === 0
    ? ok(check, `All ${known.length} migrations were made.`)
    : warn(
        check,
        `${missing.length} of ${known.length} migrations were not made yet (${missing.join(", ")}).`,
        "Start a server of this version: it makes them.",
      );
}

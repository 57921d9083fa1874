/**
 * Takes a backup, beside a living server or without one: all rows of one moment, and the
 * files that make this installation what it is. Releases are not in it: they come from
 * their publisher again.
 */
import type { Kysely, Transaction } from "kysely";
import type { Config } from "../config.ts";
import type { Clock, Random } from "../domain/clock.ts";
import { atOneMoment, dumpRows, isServed, listSequences, listTables } from "../store/dump-tables.ts";
import { listMigrations } from "../store/migrate.ts";
import { migrations } from "../store/migrations/all.ts";
import type { Db } from "../store/schema.ts";
import { openServedDatabase } from "./backup-database.ts";
import { BackupError } from "./backup-error.ts";
import { writeBackup, type BackupPlace } from "./backup-file.ts";
import type { BackupRecord } from "./backup-records.ts";
import { checkBackup, type CheckedBackup } from "./check-backup.ts";
import { readKeptFiles } from "./kept-files.ts";

/** What is backed up, and where to. */
export interface BackUpOptions {
  readonly place: BackupPlace;
  readonly config: Config;
  /** The settings that were given, by their variables. */
  readonly settings: Readonly<Record<string, string>>;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/**
 * Takes a backup, and reads it back.
 *
 * *Throws* Error with a sentence for the operator; then no file was written.
 */
export async function backUp(options: BackUpOptions): Promise<CheckedBackup> {
  const { place, random, signal } = options;
  await using database = await openServedDatabase(options);
  await requireKnownSchema(database.db);
  let checked: CheckedBackup | undefined;
  const check = async (written: BackupPlace): Promise<void> => {
    checked = await checkBackup(written);
  };
  await atOneMoment(database.db, (tx) => writeBackup(place, takeRecords(tx, options), { random, signal, check }));
  if (checked === undefined) throw new Error("the backup was not read back");
  return checked;
}

async function requireKnownSchema(db: Kysely<Db>): Promise<void> {
  const applied = await listMigrations(db);
  if (applied.length === 0)
    throw new BackupError(
      "The database holds nothing of Rollcall yet. Nothing was written. Start a server on it first.",
    );
  const unknown = applied.filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length === 0) return;
  throw new BackupError(
    `The database was migrated by a newer server (${unknown.join(", ")}). Nothing was written. ` +
      "Take the backup with that version.",
  );
}

async function* takeRecords(tx: Transaction<Db>, options: BackUpOptions): AsyncGenerator<BackupRecord> {
  const { config, settings, version, clock } = options;
  const manifest = {
    takenAt: clock.now().toISOString(),
    serverVersion: version,
    migrations: await listMigrations(tx),
    wasServed: await isServed(tx),
    settings,
  };
  yield { kind: "manifest", manifest };
  for (const file of await readKeptFiles(config)) yield { kind: "file", file };
  let count = 0;
  for (const table of await listTables(tx)) {
    yield { kind: "table", table };
    for await (const rows of dumpRows(tx, table)) {
      yield { kind: "rows", rows };
      count += rows.length;
    }
  }
  for (const sequence of await listSequences(tx)) yield { kind: "sequence", sequence };
  yield { kind: "end", end: { rows: count } };
}

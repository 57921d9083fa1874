/**
 * Restores a backup into a data directory and a database that hold nothing.
 *
 *     read all of it ─▶ nothing there? ─▶ mark ─▶ files ─▶ one transaction:           ─▶ unmark
 *     (changes nothing)                                     its migrations, its rows,
 *                                                           later migrations, settle
 *
 * Whatever fails is undone. After a kill the data directory stays marked: no server
 * starts, and the database, which commits once, is empty or whole.
 */
import { join } from "node:path";
import { sql, type Kysely, type Transaction } from "kysely";
import type { Migration } from "kysely/migration";
import type { Config } from "../config.ts";
import type { Clock } from "../domain/clock.ts";
import { writeAuditEvent } from "../store/audit-events.ts";
import { listTables, type TableLayout } from "../store/dump-tables.ts";
import { removeCluster } from "../store/embedded/remove-cluster.ts";
import { loadRows, loadSequence, loadWithoutRules } from "../store/load-tables.ts";
import { migrate } from "../store/migrate.ts";
import { migrations } from "../store/migrations/all.ts";
import type { Db } from "../store/schema.ts";
import { settleRestored, type SettledCounts } from "../store/settle-restored.ts";
import { writeDurably } from "../stream/write-durably.ts";
import { openOwnDatabase } from "./backup-database.ts";
import { BackupError } from "./backup-error.ts";
import { readBackup, type BackupPlace } from "./backup-file.ts";
import type { BackupManifest } from "./backup-records.ts";
import { checkBackup, type CheckedBackup } from "./check-backup.ts";
import { writeKeptFile } from "./kept-files.ts";
import { beginRestore, finishRestore, requireEmpty, undoRestore } from "./restored-folder.ts";

/** What is restored, and where to. */
export interface RestoreOptions {
  readonly place: BackupPlace;
  readonly config: Config;
  /** No server ran since the backup: what was under way goes on. */
  readonly isMove: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What was restored. */
export interface Restored extends CheckedBackup {
  /** *Shape*: `undefined` for a move, where everything goes on. */
  readonly settled: SettledCounts | undefined;
  /** Where the settings of the backup stand now, for whoever starts the server. */
  readonly settingsPath: string;
}

const SETTINGS_FILE = "restored-settings.env";

/** *Throws* Error with a sentence for the operator; then nothing was changed, or it was undone. */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { place, config } = options;
  await requireEmpty(config.dataDir, config.releasesDir);
  const checked = await checkBackup(place);
  requireKnownMigrations(place, checked.manifest);
  if (options.isMove && checked.manifest.wasServed) throw wentOn(place);
  const settled = await restoreInto(options, checked.manifest);
  return { ...checked, settled, settingsPath: join(config.dataDir, SETTINGS_FILE) };
}

async function restoreInto(options: RestoreOptions, manifest: BackupManifest): Promise<SettledCounts | undefined> {
  const { config, clock } = options;
  const isEmbedded = config.databaseUrl === undefined;
  if (!isEmbedded) {
    await using database = await openOwnDatabase(options);
    await requireEmptyDatabase(database.db);
  }
  await beginRestore(config.dataDir);
  try {
    // The remains of a restore that was killed: no server ever ran on them.
    if (isEmbedded) await removeCluster(config.dataDir, clock);
    await restoreFiles(options, manifest);
    const settled = await restoreDatabase(options, manifest);
    await finishRestore(config.dataDir);
    return settled;
  } catch (error) {
    await undo(options).catch(() => undefined);
    throw error;
  }
}

async function undo({ config, clock }: RestoreOptions): Promise<void> {
  if (config.databaseUrl === undefined) await removeCluster(config.dataDir, clock);
  await undoRestore(config.dataDir, config.releasesDir);
}

async function restoreFiles({ place, config }: RestoreOptions, manifest: BackupManifest): Promise<void> {
  for await (const record of readBackup(place)) {
    if (record.kind === "file") await writeKeptFile(record.file, config);
    if (record.kind === "table") break;
  }
  // As systemd's EnvironmentFile and a shell read them.
  const settings = Object.entries(manifest.settings).map(
    ([name, value]) => `${name}="${value.replaceAll(/["\\$`]/g, "\\$&")}"\n`,
  );
  await writeDurably(join(config.dataDir, SETTINGS_FILE), settings.join(""), 0o600);
}

async function restoreDatabase(options: RestoreOptions, manifest: BackupManifest): Promise<SettledCounts | undefined> {
  await using database = await openOwnDatabase(options);
  return await database.db.transaction().execute(async (tx) => {
    await sql`set local idle_in_transaction_session_timeout = 0`.execute(tx);
    await requireEmptyDatabase(tx);
    await migrate(tx, Object.fromEntries(manifest.migrations.map((name) => [name, migrationOf(name)])));
    await loadWithoutRules(tx, () => loadRecords(tx, options));
    await migrate(tx, migrations);
    const cause = `a backup of ${manifest.takenAt} was restored`;
    const settled = options.isMove ? undefined : await settleRestored(tx, cause);
    await writeAuditEvent(tx, {
      actor: "rollcall",
      action: "server.restored",
      cause,
      details: {
        taken_at: manifest.takenAt,
        cancelled_jobs: settled?.cancelledJobs ?? 0,
        cancelled_fleet_updates: settled?.cancelledFleetUpdates ?? 0,
      },
    });
    await sql`analyze`.execute(tx);
    return settled;
  });
}

async function loadRecords(tx: Transaction<Db>, { place, signal }: RestoreOptions): Promise<void> {
  let table: TableLayout | undefined;
  for await (const record of readBackup(place)) {
    signal.throwIfAborted();
    if (record.kind === "table") ({ table } = record);
    if (record.kind === "rows" && table !== undefined) await loadRows(tx, table, record.rows);
    if (record.kind === "sequence") await loadSequence(tx, record.sequence);
  }
}

async function requireEmptyDatabase(db: Kysely<Db>): Promise<void> {
  const tables = await listTables(db);
  if (tables.length === 0) return;
  const names = tables.slice(0, 3).map(({ name }) => name);
  throw new BackupError(
    `The database is not empty: it holds the tables ${names.join(", ")}${tables.length > 3 ? ", …" : ""}. ` +
      "Nothing was changed. Restore into an empty one: drop it and create it again, or name another.",
  );
}

function requireKnownMigrations({ path }: BackupPlace, { migrations: names, serverVersion }: BackupManifest): void {
  const unknown = names.filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length === 0) return;
  throw new BackupError(
    `${path} was taken by a newer server, ${serverVersion}, whose schema this one does not know (${unknown.join(", ")}). ` +
      "Nothing was changed. Restore it with that version, or a newer one.",
  );
}

function migrationOf(name: string): Migration {
  const migration = migrations[name];
  if (migration === undefined) throw new Error(`there is no migration ${name}`);
  return migration;
}

function wentOn({ path }: BackupPlace): BackupError {
  return new BackupError(
    `${path} was taken while a server ran, so what was under way went on after it and cannot go on from it. ` +
      "Nothing was changed. Stop the server, take a backup and restore that one; or restore this one without --move.",
  );
}

/**
 * A database as rows in JSON, table by table, as the catalogue lists them: nothing here
 * knows what a table means, so that one that a later migration adds is in it.
 *
 * Asked in one transaction of isolation level repeatable read, all of it is of one moment.
 * JSON as PostgreSQL writes it loses nothing: instants have their microseconds, numbers
 * all their digits, and no text has a line's end in it. It is read by every later version.
 */
import { sql, type Kysely, type Transaction } from "kysely";
import { SERVER_APPLICATION } from "./open-database.ts";
import type { Db } from "./schema.ts";

/** A table and its columns, without those that are computed. */
export interface TableLayout {
  readonly name: string;
  readonly columns: readonly string[];
}

/** How far a sequence has come. */
export interface SequenceValue {
  readonly name: string;
  /** *Shape*: decimal. */
  readonly last: string;
}

const ROWS_AT_ONCE = 500;
/** The migrator's own; migrations write them. */
const MIGRATION_TABLES = ["kysely_migration", "kysely_migration_lock"] as const;

/** Begins the one moment of a dump. */
export async function atOneMoment<Result>(db: Kysely<Db>, work: (tx: Transaction<Db>) => Promise<Result>) {
  const transaction = db.transaction().setIsolationLevel("repeatable read").setAccessMode("read only");
  return transaction.execute(async (tx) => {
    // Whoever takes the rows may be slow; and an instant is the same wherever it is read.
    await sql`set local idle_in_transaction_session_timeout = 0`.execute(tx);
    await sql`set local timezone = 'UTC'`.execute(tx);
    return work(tx);
  });
}

/** Every table of this product, without the migrator's. *Shape*: by name; empty for an empty database. */
export async function listTables(db: Kysely<Db>): Promise<readonly TableLayout[]> {
  const { rows } = await sql<TableLayout>`
    select relname as name, array(
      select attname::text from pg_attribute
      where attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = ''
      order by attnum
    ) as columns
    from pg_class
    where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace
      and relname <> all (${MIGRATION_TABLES})
    order by relname
  `.execute(db);
  return rows;
}

/** The rows of a table, each as one line of JSON, some hundred at a time. */
export async function* dumpRows(tx: Transaction<Db>, table: TableLayout): AsyncGenerator<readonly string[]> {
  const columns = sql.join(table.columns.map((column) => sql.ref(column)));
  await sql`
    declare dumped_rows no scroll cursor for
    select row_to_json(dumped)::text as line from (select ${columns} from ${sql.table(table.name)}) as dumped
  `.execute(tx);
  for (;;) {
    const { rows } = await sql<{ line: string }>`fetch ${sql.lit(ROWS_AT_ONCE)} from dumped_rows`.execute(tx);
    if (rows.length === 0) break;
    yield rows.map(({ line }) => line);
  }
  await sql`close dumped_rows`.execute(tx);
}

/** Sequences that were ever asked, by name. They are of no moment: never behind the rows that are read with them. */
export async function listSequences(tx: Transaction<Db>): Promise<readonly SequenceValue[]> {
  const { rows } = await sql<SequenceValue>`
    select sequencename as name, last_value::text as last from pg_sequences
    where schemaname = current_schema() and last_value is not null order by 1
  `.execute(tx);
  return rows;
}

/** Whether a server is connected to this database. */
export async function isServed(db: Kysely<Db>): Promise<boolean> {
  const { rows } = await sql`
    select from pg_stat_activity where datname = current_database() and application_name = ${SERVER_APPLICATION} limit 1
  `.execute(db);
  return rows.length > 0;
}

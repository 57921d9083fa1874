/**
 * Puts dumped rows into a schema that holds none. Rows come in any order and as they
 * were: foreign keys are taken off meanwhile and put back as the catalogue wrote them,
 * which checks all of them at once, and no trigger tells anybody of what was told before.
 */
import { sql, type Transaction } from "kysely";
import type { SequenceValue, TableLayout } from "./dump-tables.ts";
import type { Db } from "./schema.ts";

interface ForeignKey {
  readonly table_name: string;
  readonly name: string;
  readonly definition: string;
}

/** Runs `load` with foreign keys and triggers off. *Throws* the database's error when rows do not fit together. */
export async function loadWithoutRules(tx: Transaction<Db>, load: () => Promise<void>): Promise<void> {
  const { rows: keys } = await sql<ForeignKey>`
    select conrelid::regclass::text as table_name, conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint where contype = 'f' and connamespace = current_schema()::regnamespace
  `.execute(tx);
  const { rows: triggered } = await sql<{ table_name: string }>`
    select distinct tgrelid::regclass::text as table_name from pg_trigger
    join pg_class on pg_class.oid = tgrelid
    where not tgisinternal and relnamespace = current_schema()::regnamespace
  `.execute(tx);
  // Names of tables come quoted from the catalogue.
  for (const { table_name, name } of keys)
    await sql`alter table ${sql.raw(table_name)} drop constraint ${sql.ref(name)}`.execute(tx);
  for (const { table_name } of triggered)
    await sql`alter table ${sql.raw(table_name)} disable trigger user`.execute(tx);
  await load();
  for (const { table_name } of triggered) await sql`alter table ${sql.raw(table_name)} enable trigger user`.execute(tx);
  for (const { table_name, name, definition } of keys)
    await sql`alter table ${sql.raw(table_name)} add constraint ${sql.ref(name)} ${sql.raw(definition)}`.execute(tx);
}

/** Inserts rows as they were dumped, identities and all. */
export async function loadRows(tx: Transaction<Db>, table: TableLayout, rows: readonly string[]): Promise<void> {
  const columns = sql.join(table.columns.map((column) => sql.ref(column)));
  const name = sql.table(table.name);
  await sql`
    insert into ${name} (${columns}) overriding system value
    select ${columns} from json_populate_recordset(null::${name}, ${`[${rows.join(",")}]`}::json)
  `.execute(tx);
}

/** Lets a sequence go on where it was. */
export async function loadSequence(tx: Transaction<Db>, { name, last }: SequenceValue): Promise<void> {
  await sql`select setval(quote_ident(${name})::regclass, ${last}::bigint)`.execute(tx);
}

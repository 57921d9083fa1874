import { sql } from "kysely";
import type { TestDatabase } from "./test-database.ts";

/** What every table of a database holds, as one digest a table: two that are equal hold the same rows. */
export async function digestTables({ ownerDb }: TestDatabase): Promise<Readonly<Record<string, string>>> {
  const tables = await sql<{
    name: string;
  }>`select tablename as name from pg_tables where schemaname = 'public' order by 1`.execute(ownerDb);
  const digests = tables.rows.map(
    ({ name }) => sql`
      select ${name} as name, count(*) || ' rows ' || md5(coalesce(string_agg(md5(t::text), '' order by t::text), '')) as digest
      from ${sql.table(name)} t`,
  );
  const { rows } = await sql<{ name: string; digest: string }>`${sql.join(digests, sql` union all `)}`.execute(ownerDb);
  return Object.fromEntries(rows.map(({ name, digest }) => [name, digest]));
}

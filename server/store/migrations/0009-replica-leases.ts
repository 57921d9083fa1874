import { sql, type Kysely } from "kysely";

/** Each server holds a lease on its own row. */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    alter table replicas add column epoch bigint not null default 1, add column freed_at timestamptz
  `.execute(db);
}

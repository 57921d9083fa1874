import { sql, type Kysely } from "kysely";

/** Hosts that count nowhere and are kept for their history. */
export async function up(db: Kysely<never>): Promise<void> {
  await sql.raw("alter table hosts add column archived_at timestamptz").execute(db);
}

import { sql, type Kysely } from "kysely";

/** The oldest install revision of a host that can take a release. */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    alter table releases add column install_revision integer not null default 0 check (install_revision >= 0)
  `.execute(db);
}

import { sql, type Kysely } from "kysely";

/** The agents' authority may be followed by another, which all servers then have to share. */
export async function up(db: Kysely<never>): Promise<void> {
  await sql
    .raw(
      `do $$ begin
        if exists (select from pg_roles where rolname = 'rollcall_app') then
          grant update (sha256) on shared_keys to rollcall_app;
        end if;
      end $$`,
    )
    .execute(db);
}

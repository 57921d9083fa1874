import { sql, type Kysely } from "kysely";

/** What all servers of the database have to share. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table shared_keys (
    name text primary key,
    sha256 bytea not null,
    noted_at timestamptz not null default clock_timestamp()
  )`,
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert on shared_keys to rollcall_app;
    end if;
  end $$`,
];

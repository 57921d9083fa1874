import { sql, type Kysely } from "kysely";

/** What versions that were rolled back said last. Beside the jobs: nobody who lists these asks for it. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table job_logs (
    job_id uuid primary key references jobs (id) on delete cascade,
    lines text[] not null
  )`,
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert on job_logs to rollcall_app;
    end if;
  end $$`,
];

import { sql, type Kysely } from "kysely";

/** What people call hosts, and what they say of them. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  "alter table hosts add column display_name text not null default ''",
  // Beside the hosts: each Hello writes a host's row anew, and with it every index that the row is in.
  `create table host_labels (
    host_id uuid not null references hosts (id) on delete cascade,
    key text not null,
    value text not null,
    primary key (host_id, key)
  )`,
  "create index host_labels_by_label on host_labels (key, value, host_id)",
  "alter table enrollment_tokens add column labels jsonb not null default '[]'",
  "alter table fleet_updates add column labels jsonb not null default '[]'",
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert, update, delete on host_labels to rollcall_app;
    end if;
  end $$`,
];

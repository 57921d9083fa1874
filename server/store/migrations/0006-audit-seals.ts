import { sql, type Kysely } from "kysely";

/**
 * Makes it seen when somebody rewrites the audit log. Whoever has to, as the owner of
 * the tables, takes the triggers off for it; the seals tell of it all the same.
 */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const keep = (table: string) => `create trigger ${table}_are_kept
    before update or delete or truncate on ${table}
    for each statement execute function refuse_audit_change()`;

const STATEMENTS = [
  // 42501, as for whoever lacks the right.
  `create function refuse_audit_change() returns trigger language plpgsql as $$ begin
    raise exception '% is only ever added to', tg_table_name using errcode = '42501';
  end $$`,
  keep("audit_events"),
  // Each covers the events after the one before it, and its digest that one's digest.
  `create table audit_seals (
    id bigint generated always as identity primary key,
    from_id bigint not null unique,
    to_id bigint not null unique check (to_id >= from_id),
    digest bytea not null check (octet_length(digest) = 32),
    sealed_at timestamptz not null default clock_timestamp()
  )`,
  keep("audit_seals"),
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert on audit_seals to rollcall_app;
    end if;
  end $$`,
];

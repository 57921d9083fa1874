import { sql, type Kysely } from "kysely";

/** Signatures, key sets, sequence floors, and what deliveries cost. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table releases
    add column key_id text not null default '',
    add column key_label text not null default '',
    add column is_development boolean not null default false,
    add column permitted_floor bigint not null default 0 check (permitted_floor >= 0)`,
  // What a version and a sequence once meant: neither may come back with other bytes.
  `create table removed_artifacts (
    package text not null,
    version text not null,
    sequence bigint not null,
    platform text not null,
    sha256 text not null,
    removed_at timestamptz not null default clock_timestamp(),
    primary key (package, version, platform)
  )`,
  // The newest key set of a package that a root key signed.
  `create table key_sets (
    package text primary key,
    sequence bigint not null check (sequence >= 1),
    keys bytea not null,
    signature bytea not null,
    is_development boolean not null,
    -- Replaces that of every host that takes this key set.
    sequence_floor bigint check (sequence_floor >= 0),
    imported_at timestamptz not null default clock_timestamp()
  )`,
  `alter table hosts
    add column sequence_floor bigint not null default 0 check (sequence_floor >= 0),
    add column keys_sequence bigint not null default 0 check (keys_sequence >= 0)`,
  `alter table jobs
    add column bytes_delivered bigint not null default 0 check (bytes_delivered >= 0),
    add column bytes_saved bigint not null default 0 check (bytes_saved >= 0)`,
  // The application's role exists where the embedded database made it.
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert, update, delete on removed_artifacts, key_sets to rollcall_app;
    end if;
  end $$`,
];

import { sql, type Kysely } from "kysely";

/** Hosts, sessions, releases, jobs and the audit log. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table hosts (
    id uuid primary key,
    hostname text not null,
    os text not null,
    arch text not null,
    agent_version text,
    packages jsonb not null default '[]',
    install_revision integer not null default 0,
    credential_generation integer not null default 1 check (credential_generation >= 1),
    enrolled_at timestamptz not null default clock_timestamp(),
    last_seen_at timestamptz,
    offline_at timestamptz,
    identity_duplicated_at timestamptz,
    removed_at timestamptz
  )`,
  "create index hosts_by_name on hosts (hostname, id) where removed_at is null",
  "create sequence session_epochs as bigint",
  `create table replicas (
    id text primary key,
    started_at timestamptz not null default clock_timestamp(),
    alive_at timestamptz not null default clock_timestamp()
  )`,
  `create table agent_sessions (
    host_id uuid primary key references hosts (id),
    replica_id text not null,
    epoch bigint not null unique,
    instance_id uuid not null,
    opened_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz
  )`,
  "create index agent_sessions_open on agent_sessions (replica_id) where closed_at is null",
  `create table enrollment_tokens (
    id uuid primary key,
    token_sha256 bytea not null unique,
    label text not null,
    max_uses integer not null check (max_uses >= 1),
    uses integer not null default 0 check (uses >= 0 and uses <= max_uses),
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    revoked_at timestamptz
  )`,
  `create table releases (
    package text not null,
    version text not null,
    sequence bigint not null check (sequence >= 1),
    manifest bytea not null,
    manifest_sha256 bytea not null,
    signature bytea not null,
    imported_at timestamptz not null default clock_timestamp(),
    primary key (package, version),
    unique (package, sequence)
  )`,
  `create table release_artifacts (
    package text not null,
    version text not null,
    platform text not null,
    file_name text not null,
    size_bytes bigint not null check (size_bytes >= 1),
    sha256 text not null,
    block_size_bytes integer not null check (block_size_bytes >= 1),
    block_list bytea not null,
    primary key (package, version, platform),
    foreign key (package, version) references releases (package, version)
  )`,
  `create table target_versions (
    package text primary key,
    version text not null,
    chosen_by text,
    changed_at timestamptz not null default clock_timestamp(),
    foreign key (package, version) references releases (package, version)
  )`,
  `create table quarantined_artifacts (
    sha256 text primary key,
    quarantined_at timestamptz not null default clock_timestamp()
  )`,
  `create table jobs (
    id uuid primary key,
    host_id uuid not null references hosts (id),
    kind text not null check (kind in ('update')),
    package text not null,
    from_version text not null,
    to_version text not null,
    manifest_sha256 bytea not null,
    state text not null check (state in
      ('dispatched', 'downloading', 'staged', 'restarting', 'succeeded', 'failed', 'rolled_back', 'cancelled')),
    reason text,
    details jsonb not null default '{}',
    bytes_done bigint not null default 0,
    bytes_total bigint not null default 0,
    ignore_quarantine boolean not null default false,
    fleet_update_id uuid,
    requested_by text not null,
    -- Milliseconds, as page tokens have them.
    created_at timestamptz(3) not null default clock_timestamp(),
    changed_at timestamptz not null default clock_timestamp(),
    committed_at timestamptz,
    ended_at timestamptz,
    deadline_at timestamptz,
    last_deadline_at timestamptz not null,
    check ((ended_at is null) = (state in ('dispatched', 'downloading', 'staged', 'restarting'))),
    check ((deadline_at is null) = (ended_at is not null)),
    check ((reason is not null) = (state in ('failed', 'rolled_back')))
  )`,
  "create unique index jobs_one_open_a_host on jobs (host_id) where ended_at is null",
  "create index jobs_by_deadline on jobs (deadline_at) where ended_at is null",
  "create index jobs_by_host on jobs (host_id, created_at desc, id desc)",
  "create index jobs_by_age on jobs (created_at desc, id desc)",
  `create table audit_events (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    action text not null,
    host_id uuid,
    job_id uuid,
    fleet_update_id uuid,
    cause text not null,
    details jsonb not null default '{}'
  )`,
  "create index audit_events_by_host on audit_events (host_id, id desc)",
  // The application may add to the audit log and read it, never change it.
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant usage on schema public to rollcall_app;
      grant select, insert, update, delete on all tables in schema public to rollcall_app;
      grant usage, select on all sequences in schema public to rollcall_app;
      revoke update, delete, truncate on audit_events from rollcall_app;
      revoke insert, update, delete on kysely_migration, kysely_migration_lock from rollcall_app;
    end if;
  end $$`,
];

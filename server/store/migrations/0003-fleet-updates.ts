import { sql, type Kysely } from "kysely";

/** Fleet updates, alerts, leases, version adoption. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table fleet_updates (
    id uuid primary key,
    package text not null,
    to_version text not null,
    state text not null check (state in ('running', 'completed', 'halted', 'cancelled')),
    max_in_flight integer not null check (max_in_flight >= 1),
    max_failures integer not null check (max_failures >= 0),
    offline text not null check (offline in ('halt', 'skip')),
    halted_host_id uuid,
    halt_reason text,
    started_by text not null,
    retry_of uuid references fleet_updates (id),
    -- Milliseconds, as page tokens have them.
    created_at timestamptz(3) not null default clock_timestamp(),
    changed_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    check ((ended_at is null) = (state = 'running')),
    check ((halt_reason is not null) = (state = 'halted'))
  )`,
  "create unique index fleet_updates_one_running on fleet_updates ((true)) where state = 'running'",
  "create index fleet_updates_by_age on fleet_updates (created_at desc, id desc)",
  `create table fleet_update_hosts (
    fleet_update_id uuid not null references fleet_updates (id),
    position integer not null check (position >= 0),
    host_id uuid not null references hosts (id),
    hostname text not null,
    state text not null check (state in ('pending', 'updating', 'succeeded', 'failed', 'skipped', 'cancelled')),
    reason text,
    from_version text,
    job_id uuid references jobs (id),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (fleet_update_id, position),
    unique (fleet_update_id, host_id),
    check ((job_id is null) = (state in ('pending', 'skipped')) or state = 'failed')
  )`,
  "create index fleet_update_hosts_unsettled on fleet_update_hosts (fleet_update_id) where state in ('pending', 'updating')",
  "alter table jobs add foreign key (fleet_update_id) references fleet_updates (id)",
  `create table alerts (
    id uuid primary key default gen_random_uuid(),
    kind text not null check (kind in ('update_failed', 'fleet_update_halted', 'host_offline', 'duplicate_identity')),
    host_id uuid references hosts (id),
    fleet_update_id uuid references fleet_updates (id),
    job_id uuid references jobs (id),
    reason text not null,
    -- Milliseconds, as page tokens have them.
    raised_at timestamptz(3) not null default clock_timestamp(),
    touched_at timestamptz not null default clock_timestamp(),
    times_raised integer not null default 1,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    check ((host_id is null) = (kind = 'fleet_update_halted'))
  )`,
  `create unique index alerts_one_open on alerts (kind, coalesce(host_id, '00000000-0000-0000-0000-000000000000'::uuid))
    where resolved_at is null`,
  "create index alerts_by_age on alerts (raised_at desc, id desc)",
  "create index hosts_by_offline on hosts (offline_at) where removed_at is null and offline_at is not null",
  `create table leases (
    name text primary key,
    holder text not null,
    -- Rises with each new holder: what an older one writes is refused.
    epoch bigint not null,
    expires_at timestamptz not null
  )`,
  `create table version_adoption (
    day date not null,
    package text not null,
    version text not null,
    hosts integer not null,
    primary key (day, package, version)
  )`,
  "alter table hosts add column credential_rotated_at timestamptz not null default clock_timestamp()",
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert, update, delete on
        fleet_updates, fleet_update_hosts, alerts, leases, version_adoption to rollcall_app;
    end if;
  end $$`,
];

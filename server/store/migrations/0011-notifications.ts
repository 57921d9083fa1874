import { sql, type Kysely } from "kysely";

/** Channels that alerts are sent to, and what waits for them. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table alerts add column severity text not null default 'warning'
    check (severity in ('info', 'warning', 'critical'))`,
  "update alerts set severity = 'critical' where kind = 'fleet_update_halted'",
  // Whoever raises an alert says how much it matters.
  "alter table alerts alter column severity drop default",
  `create table notification_channels (
    id uuid primary key,
    name text not null unique,
    minimum_severity text not null check (minimum_severity in ('info', 'warning', 'critical')),
    target jsonb not null,
    -- Must be sent, so it can't be hashed. No answer of the API holds it.
    secret text not null,
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    next_attempt_at timestamptz not null default clock_timestamp(),
    failures integer not null default 0,
    failing_since timestamptz,
    failure text not null default '',
    last_delivered_at timestamptz,
    dropped integer not null default 0
  )`,
  `create table notifications (
    id bigint generated always as identity primary key,
    channel_id uuid not null references notification_channels (id) on delete cascade,
    alert_id uuid not null references alerts (id),
    event text not null check (event in ('raised', 'resolved')),
    created_at timestamptz not null default clock_timestamp()
  )`,
  "create index notifications_of_channel on notifications (channel_id, id)",
  // The outbox: whatever raises or resolves an alert writes what is to be told of it, in the same transaction.
  `create function queue_notifications() returns trigger language plpgsql as $$
    declare
      severities constant text[] := array['info', 'warning', 'critical'];
      severity constant text := case when tg_op = 'INSERT' then new.severity else 'info' end;
    begin
      insert into notifications (channel_id, alert_id, event)
      select id, new.id, case when tg_op = 'INSERT' then 'raised' else 'resolved' end
      from notification_channels
      where array_position(severities, minimum_severity) <= array_position(severities, severity);
      return null;
    end
  $$`,
  `create trigger alert_raised after insert on alerts
    for each row execute function queue_notifications()`,
  `create trigger alert_resolved after update of resolved_at on alerts
    for each row when (old.resolved_at is null and new.resolved_at is not null)
    execute function queue_notifications()`,
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert, update, delete on notification_channels, notifications to rollcall_app;
    end if;
  end $$`,
];

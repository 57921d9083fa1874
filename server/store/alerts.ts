/** Questions about alerts. At most one of a kind is open for a host, or for the fleet. */
import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import { severityOf, type Alert, type AlertKind, type NewAlert } from "../domain/alert.ts";
import type { HostId } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { AlertsTable, Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** Stands for the fleet in the index of open alerts. */
const NO_HOST = "00000000-0000-0000-0000-000000000000";

/** Where a page of alerts begins: after this one, newest first. */
export interface AlertCursor {
  readonly raisedAt: Date;
  readonly id: string;
}

/** Raises an alert, or touches the open one of its kind. Its id; `undefined` for an archived host, of which there is none. */
export async function raiseAlert(tx: Transaction<Db>, alert: NewAlert): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    insert into alerts (kind, severity, host_id, fleet_update_id, job_id, reason)
    select ${alert.kind}, ${severityOf(alert.kind)}, ${alert.hostId}::uuid, ${alert.fleetUpdateId ?? null}::uuid, ${alert.jobId ?? null}::uuid, ${alert.reason}
    where not exists (select from hosts where id = ${alert.hostId}::uuid and archived_at is not null)
    on conflict (kind, coalesce(host_id, '00000000-0000-0000-0000-000000000000'::uuid)) where resolved_at is null
    do update set touched_at = clock_timestamp(), times_raised = alerts.times_raised + 1, reason = excluded.reason,
      fleet_update_id = excluded.fleet_update_id, job_id = excluded.job_id
    returning id
  `.execute(tx);
  return rows[0]?.id;
}

/** Alerts to resolve: of a host, or of the fleet when there is none. */
export interface ResolvedKinds {
  readonly hostId: HostId | null;
  readonly kinds: readonly AlertKind[];
}

/**
 * Resolves the open alerts of these kinds.
 *
 * *Shape*: the ids of those that were open, for each, in order.
 */
export async function resolveAlerts(
  tx: Transaction<Db>,
  asked: readonly ResolvedKinds[],
): Promise<readonly (readonly string[])[]> {
  const pairs = asked.flatMap(({ hostId, kinds }) => kinds.map((kind) => ({ hostId, kind })));
  // As in the index of open alerts.
  const { rows } = await sql<{ id: string; host_id: HostId | null; kind: AlertKind }>`
    update alerts set resolved_at = clock_timestamp()
    from unnest(
      ${pairs.map(({ kind }) => kind)}::text[],
      ${pairs.map(({ hostId }) => hostId ?? NO_HOST)}::uuid[]
    ) as asked (kind, host_id)
    where alerts.resolved_at is null and alerts.kind = asked.kind
      and coalesce(alerts.host_id, ${NO_HOST}::uuid) = asked.host_id
    returning alerts.id, alerts.host_id, alerts.kind
  `.execute(tx);
  const byHost = Map.groupBy(rows, (row) => row.host_id);
  return asked.map(({ hostId, kinds }) =>
    (byHost.get(hostId) ?? []).filter(({ kind }) => kinds.includes(kind)).map(({ id }) => id),
  );
}

/**
 * Raises `host_offline` for every host that went offline and has no such alert yet.
 * A host that restarts for an update is not away, and one that never came is not missed.
 */
export async function raiseOfflineAlerts(tx: Transaction<Db>): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    insert into alerts (kind, severity, host_id, reason)
    select 'host_offline', ${severityOf("host_offline")}, hosts.id, 'no session'
    from hosts
    where removed_at is null and archived_at is null and offline_at <= clock_timestamp() and last_seen_at is not null
      and not exists (select from alerts where kind = 'host_offline' and host_id = hosts.id and resolved_at is null)
      and not exists (select from jobs where host_id = hosts.id and state = 'restarting')
    on conflict do nothing
    returning id
  `.execute(tx);
  return rows.map((row) => row.id);
}

/** Clears the mark of duplicated identities that were quiet for a while, and their alerts. */
export async function forgetQuietDuplicates(
  tx: Transaction<Db>,
  quietMs: number,
): Promise<{ readonly hostIds: readonly HostId[]; readonly alertIds: readonly string[] }> {
  const quiet = await tx
    .updateTable("hosts")
    .set({ identity_duplicated_at: null })
    .where("identity_duplicated_at", "<", sql<Date>`clock_timestamp() - ${milliseconds(quietMs)}`)
    .returning("id")
    .execute();
  const hostIds = quiet.map((host) => host.id);
  const resolved = await resolveAlerts(
    tx,
    hostIds.map((hostId) => ({ hostId, kinds: ["duplicate_identity"] })),
  );
  return { hostIds, alertIds: resolved.flat() };
}

/** Notes who has seen an alert; the first one stays. `undefined` when it is unknown. */
export async function acknowledgeAlert(tx: Transaction<Db>, id: string, by: string): Promise<Alert | undefined> {
  const row = await tx
    .updateTable("alerts")
    .set({
      acknowledged_at: sql<Date>`coalesce(acknowledged_at, clock_timestamp())`,
      acknowledged_by: sql<string>`coalesce(acknowledged_by, ${by})`,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirst();
  return row && toAlert(row);
}

/** These alerts, in no particular order. */
export async function findAlerts(db: Executor, ids: readonly string[]): Promise<readonly Alert[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom("alerts")
    .selectAll()
    .where("id", "in", [...ids])
    .execute();
  return rows.map(toAlert);
}

/** A page of alerts, newest first. */
export async function listAlerts(
  db: Executor,
  query: {
    readonly openOnly: boolean;
    readonly kind?: AlertKind;
    readonly hostId?: HostId;
    readonly after?: AlertCursor;
    readonly limit: number;
  },
): Promise<readonly Alert[]> {
  let alerts = db.selectFrom("alerts").selectAll();
  if (query.openOnly) alerts = alerts.where("resolved_at", "is", null);
  if (query.kind !== undefined) alerts = alerts.where("kind", "=", query.kind);
  if (query.hostId !== undefined) alerts = alerts.where("host_id", "=", query.hostId);
  if (query.after !== undefined) {
    alerts = alerts.where(sql<boolean>`(raised_at, id) < (${query.after.raisedAt}, ${query.after.id}::uuid)`);
  }
  const rows = await alerts.orderBy("raised_at", "desc").orderBy("id", "desc").limit(query.limit).execute();
  return rows.map(toAlert);
}

/** An alert as its row holds it. */
export function toAlert(row: Selectable<AlertsTable>): Alert {
  return {
    id: row.id,
    kind: row.kind,
    severity: row.severity,
    hostId: row.host_id,
    fleetUpdateId: row.fleet_update_id,
    jobId: row.job_id,
    reason: row.reason,
    raisedAt: row.raised_at,
    touchedAt: row.touched_at,
    timesRaised: row.times_raised,
    acknowledgedAt: row.acknowledged_at,
    acknowledgedBy: row.acknowledged_by,
    resolvedAt: row.resolved_at,
  };
}

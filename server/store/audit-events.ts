import { sql, type Kysely, type Transaction } from "kysely";
import type { AuditEvent, NewAuditEvent } from "../domain/audit-event.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import type { Db } from "./schema.ts";

/** Adds one entry to the audit log, in the transaction of the change it tells of. */
export async function writeAuditEvent(db: Kysely<Db> | Transaction<Db>, event: NewAuditEvent): Promise<void> {
  await writeAuditEvents(db, [event]);
}

/** Adds entries to the audit log, in this order. */
export async function writeAuditEvents(
  db: Kysely<Db> | Transaction<Db>,
  events: readonly NewAuditEvent[],
): Promise<void> {
  await sql`
    insert into audit_events (actor, action, host_id, job_id, fleet_update_id, cause, details)
    select actor, action, host_id, job_id, fleet_update_id, cause, details
    from unnest(
      ${events.map((event) => event.actor)}::text[],
      ${events.map((event) => event.action)}::text[],
      ${events.map((event) => event.hostId ?? null)}::uuid[],
      ${events.map((event) => event.jobId ?? null)}::uuid[],
      ${events.map((event) => event.fleetUpdateId ?? null)}::uuid[],
      ${events.map((event) => event.cause)}::text[],
      ${events.map((event) => JSON.stringify(event.details ?? {}))}::jsonb[]
    ) with ordinality as event (actor, action, host_id, job_id, fleet_update_id, cause, details, position)
    order by position
  `.execute(db);
}

/** A page of the audit log, newest first. */
export async function listAuditEvents(
  db: Kysely<Db>,
  query: {
    readonly hostId?: HostId;
    readonly jobId?: JobId;
    readonly fleetUpdateId?: FleetUpdateId;
    /** Whole actions, or the beginning of several; empty for all. */
    readonly actionPrefix: string;
    /** Empty for all. */
    readonly actor: string;
    readonly beforeId?: bigint;
    readonly limit: number;
  },
): Promise<readonly AuditEvent[]> {
  let events = db.selectFrom("audit_events").selectAll();
  if (query.hostId !== undefined) events = events.where("host_id", "=", query.hostId);
  if (query.jobId !== undefined) events = events.where("job_id", "=", query.jobId);
  if (query.fleetUpdateId !== undefined) events = events.where("fleet_update_id", "=", query.fleetUpdateId);
  if (query.actionPrefix !== "")
    events = events.where((row) => row.fn("starts_with", ["action", row.val(query.actionPrefix)]), "=", true);
  if (query.actor !== "") events = events.where("actor", "=", query.actor);
  if (query.beforeId !== undefined) events = events.where("id", "<", query.beforeId);
  const rows = await events.orderBy("id", "desc").limit(query.limit).execute();
  return rows.map((row) => ({
    id: row.id,
    at: row.at,
    actor: row.actor,
    action: row.action,
    hostId: row.host_id,
    jobId: row.job_id,
    fleetUpdateId: row.fleet_update_id,
    cause: row.cause,
    details: row.details,
  }));
}

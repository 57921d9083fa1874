import type { Kysely, Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { Db } from "./schema.ts";

/** Adds one entry to the audit log, in the transaction of the change it tells of. */
export async function writeAuditEvent(db: Kysely<Db> | Transaction<Db>, event: NewAuditEvent): Promise<void> {
  await db
    .insertInto("audit_events")
    .values({
      actor: event.actor,
      action: event.action,
      host_id: event.hostId ?? null,
      job_id: event.jobId ?? null,
      fleet_update_id: event.fleetUpdateId ?? null,
      cause: event.cause,
      details: JSON.stringify(event.details ?? {}),
    })
    .execute();
}

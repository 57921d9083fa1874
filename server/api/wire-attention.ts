/** Alerts and audit events as they go on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  AlertSchema,
  AuditEventSchema,
  type Alert as WireAlert,
  type AuditEvent as WireAuditEvent,
} from "../../gen/rollcall/v1/attention_pb.js";
import type { Alert } from "../domain/alert.ts";
import type { AuditEvent } from "../domain/audit-event.ts";
import { toWireAlertKind } from "../wire/alert-words.ts";

/** An alert as it goes on the wire. */
export function toWireAlert(alert: Alert): WireAlert {
  return create(AlertSchema, {
    id: alert.id,
    kind: toWireAlertKind(alert.kind),
    hostId: alert.hostId ?? "",
    fleetUpdateId: alert.fleetUpdateId ?? "",
    jobId: alert.jobId ?? "",
    reason: alert.reason,
    raisedAt: timestampFromDate(alert.raisedAt),
    touchedAt: timestampFromDate(alert.touchedAt),
    timesRaised: alert.timesRaised,
    ...(alert.acknowledgedAt === null ? {} : { acknowledgedAt: timestampFromDate(alert.acknowledgedAt) }),
    acknowledgedBy: alert.acknowledgedBy ?? "",
    ...(alert.resolvedAt === null ? {} : { resolvedAt: timestampFromDate(alert.resolvedAt) }),
  });
}

/** An audit event as it goes on the wire. */
export function toWireAuditEvent(event: AuditEvent): WireAuditEvent {
  return create(AuditEventSchema, {
    id: event.id,
    at: timestampFromDate(event.at),
    actor: event.actor,
    action: event.action,
    hostId: event.hostId ?? "",
    jobId: event.jobId ?? "",
    fleetUpdateId: event.fleetUpdateId ?? "",
    cause: event.cause,
    details: JSON.stringify(event.details),
  });
}

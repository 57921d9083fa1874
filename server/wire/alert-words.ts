/** The words of alerts, from the domain to the wire and back. */
import { AlertKind as WireKind } from "../../gen/rollcall/v1/attention_pb.js";
import { Severity as WireSeverity } from "../../gen/rollcall/v1/notification_pb.js";
import type { AlertKind, Severity } from "../domain/alert.ts";

const KINDS: Readonly<Record<AlertKind, WireKind>> = {
  update_failed: WireKind.UPDATE_FAILED,
  fleet_update_halted: WireKind.FLEET_UPDATE_HALTED,
  host_offline: WireKind.HOST_OFFLINE,
  duplicate_identity: WireKind.DUPLICATE_IDENTITY,
};

const SEVERITIES: Readonly<Record<Severity, WireSeverity>> = {
  info: WireSeverity.INFO,
  warning: WireSeverity.WARNING,
  critical: WireSeverity.CRITICAL,
};

/** The kind as it goes on the wire. */
export function toWireAlertKind(kind: AlertKind): WireKind {
  return KINDS[kind];
}

/** The kind that a request names; `undefined` when it names none. */
export function fromWireAlertKind(kind: WireKind): AlertKind | undefined {
  return (Object.keys(KINDS) as AlertKind[]).find((word) => KINDS[word] === kind);
}

/** The severity as it goes on the wire. */
export function toWireSeverity(severity: Severity): WireSeverity {
  return SEVERITIES[severity];
}

/** The severity that a request names; `undefined` when it names none. */
export function fromWireSeverity(severity: WireSeverity): Severity | undefined {
  return (Object.keys(SEVERITIES) as Severity[]).find((word) => SEVERITIES[word] === severity);
}

import type { FleetUpdateId, HostId, JobId } from "./ids.ts";

/** What somebody should look at. */
export type AlertKind = "update_failed" | "fleet_update_halted" | "host_offline" | "duplicate_identity";

/** How much somebody should care, from least to most. What resolved is `info`. */
export const SEVERITIES = ["info", "warning", "critical"] as const;

export type Severity = (typeof SEVERITIES)[number];

/** How much an open alert of a kind matters: one host is a warning, a halted fleet update stops everybody's. */
export function severityOf(kind: AlertKind): Severity {
  return kind === "fleet_update_halted" ? "critical" : "warning";
}

/** An alert about to be raised. Raised again while it is open, it is touched, not doubled. */
export interface NewAlert {
  readonly kind: AlertKind;
  /** Null for an alert of the fleet. */
  readonly hostId: HostId | null;
  readonly fleetUpdateId?: FleetUpdateId | null;
  readonly jobId?: JobId | null;
  readonly reason: string;
}

export interface Alert {
  readonly id: string;
  readonly kind: AlertKind;
  readonly severity: Severity;
  readonly hostId: HostId | null;
  readonly fleetUpdateId: FleetUpdateId | null;
  readonly jobId: JobId | null;
  readonly reason: string;
  readonly raisedAt: Date;
  readonly touchedAt: Date;
  readonly timesRaised: number;
  readonly acknowledgedAt: Date | null;
  readonly acknowledgedBy: string | null;
  readonly resolvedAt: Date | null;
}

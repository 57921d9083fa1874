import type { FleetUpdateId, HostId, JobId } from "./ids.ts";

/** What somebody should look at. */
export type AlertKind = "update_failed" | "fleet_update_halted" | "host_offline" | "duplicate_identity";

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

/**
 * A rolling update of a set of hosts.
 *
 *     running → completed | halted | cancelled
 *     a host in it: pending → updating → succeeded | failed | cancelled
 *                   pending → skipped
 *
 * Set, order and version are frozen at the start. A host that is still pending once
 * the update has ended was not touched.
 */
import type { FleetUpdateId, HostId, JobId } from "./ids.ts";
import type { Labels } from "./labels.ts";

export type FleetUpdateState = "running" | "completed" | "halted" | "cancelled";

export type FleetHostState = "pending" | "updating" | "succeeded" | "failed" | "skipped" | "cancelled";

/** What happens to a host that is offline when its turn comes. */
export type OfflinePolicy = "halt" | "skip";

export interface FleetUpdatePolicy {
  /** Hosts that update at once. */
  readonly maxInFlight: number;
  /** Failures that are borne; one more halts. */
  readonly maxFailures: number;
  readonly offline: OfflinePolicy;
}

/** Why a fleet update stopped by itself. */
export interface Halt {
  readonly hostId: HostId;
  /** A job's reason, or what stood against its host. */
  readonly reason: string;
}

export interface FleetUpdate {
  readonly id: FleetUpdateId;
  readonly package: string;
  readonly toVersion: string;
  readonly state: FleetUpdateState;
  readonly policy: FleetUpdatePolicy;
  /** What its hosts were chosen by: each had all of these at the start. */
  readonly labels: Labels;
  readonly halt: Halt | null;
  readonly startedBy: string;
  readonly retryOf: FleetUpdateId | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly endedAt: Date | null;
}

/** One host's place in a fleet update. */
export interface FleetHost {
  readonly hostId: HostId;
  readonly hostname: string;
  /** From 0. */
  readonly position: number;
  readonly state: FleetHostState;
  /** Why it failed or was skipped. */
  readonly reason: string | null;
  readonly fromVersion: string | null;
  readonly jobId: JobId | null;
}

/** How many hosts are in each state. Computed, never stored. */
export type FleetHostCounts = Readonly<Record<FleetHostState, number>>;

/** What the hosts of a fleet update add up to. Computed, never stored. */
export interface FleetTally {
  readonly hosts: FleetHostCounts;
  /** *Units*: bytes, summed over its jobs. */
  readonly bytesDelivered: number;
  readonly bytesSaved: number;
}

/** Counts hosts by state. */
export function countFleetHosts(hosts: Iterable<{ readonly state: FleetHostState }>): FleetHostCounts {
  const counts = { pending: 0, updating: 0, succeeded: 0, failed: 0, skipped: 0, cancelled: 0 };
  for (const { state } of hosts) counts[state] += 1;
  return counts;
}

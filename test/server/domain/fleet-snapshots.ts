/** Snapshots of fleet updates, for what is planned from them. */
import type { FleetUpdatePolicy } from "../../../server/domain/fleet-update.ts";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import type { JobState } from "../../../server/domain/job-state.ts";
import type { FleetSnapshot, PlannedHost } from "../../../server/domain/plan-fleet-update.ts";

/** The default policy. */
export const ONE_BY_ONE: FleetUpdatePolicy = { maxInFlight: 1, maxFailures: 0, offline: "halt" };
/** How jobs end that count as failures. */
export const FAILED: JobState = { name: "failed", reason: "probe_failed", details: {} };
export const ROLLED_BACK: JobState = { name: "rolled_back", reason: "crashed", details: {} };

/** The id of a host by its number. */
export function hostId(index: number): HostId {
  return `host-${index}` as HostId;
}

/** A host whose turn is to come, and what stands against it. */
export function pending(index: number, refusal?: PlannedHost["refusal"]): PlannedHost {
  return { hostId: hostId(index), state: "pending", job: undefined, refusal };
}

/** A host with a job of the fleet update. */
export function updating(index: number, state: JobState): PlannedHost {
  return { hostId: hostId(index), state: "updating", job: { id: `job-${index}` as JobId, state }, refusal: undefined };
}

/** A fleet update that runs. */
export function running(hosts: readonly PlannedHost[], facts: Partial<FleetSnapshot> = {}): FleetSnapshot {
  const none = { failures: 0, lastFailure: undefined, underWay: 0, hasMorePending: false };
  return { state: "running", policy: ONE_BY_ONE, ...none, hosts, ...facts };
}

/** What may stand against an update of a host. */
export const OFFLINE = { reason: "host_offline" } as const;
export const AT_TARGET = { reason: "already_at_target", version: "2" } as const;
export const BUSY = { reason: "update_running", jobId: "another" } as const;
export const NO_ARTIFACT = { reason: "no_artifact", version: "2", platform: "linux-arm64" } as const;

/**
 * What a fleet update does next, from a snapshot of it. Pure and idempotent: the same
 * snapshot gives the same plan, and a plan that was carried out half leaves a snapshot
 * that plans the rest.
 *
 * Order: first hosts are settled by how their jobs ended, then failures are weighed,
 * and only then is anything new sent. A job that belongs to somebody else is waited
 * for: it is neither a failure of this update nor its success.
 */
import type { DispatchRefusal } from "./dispatch-check.ts";
import type { FleetHostState, FleetUpdatePolicy, FleetUpdateState, Halt } from "./fleet-update.ts";
import type { HostId, JobId } from "./ids.ts";
import { isOpen, type JobState } from "./job-state.ts";

/** A host in the snapshot. */
export interface PlannedHost {
  readonly hostId: HostId;
  readonly state: FleetHostState;
  /** Its job in this fleet update. */
  readonly job: { readonly id: JobId; readonly state: JobState } | undefined;
  /** What stands against an update of it now; read for the next hosts in turn only. */
  readonly refusal: DispatchRefusal | { readonly reason: "host_removed" } | undefined;
}

/** A fleet update as it stands. */
export interface FleetSnapshot {
  readonly state: FleetUpdateState;
  readonly policy: FleetUpdatePolicy;
  /** How many hosts failed, and the newest of them. */
  readonly failures: number;
  readonly lastFailure: Halt | undefined;
  /** Those that are updating, then the next ones that are pending, in their order. While it runs, those under way may be left out. */
  readonly hosts: readonly PlannedHost[];
  /** How many hosts with an open job are left out. */
  readonly underWay: number;
  /** True when more hosts are pending than this snapshot holds. */
  readonly hasMorePending: boolean;
}

/** One thing to do. Each is carried out in a transaction of its own that checks again. */
export type FleetAction =
  | {
      readonly kind: "settle";
      readonly hostId: HostId;
      readonly state: "succeeded" | "failed" | "cancelled";
      readonly reason: string | null;
    }
  | { readonly kind: "skip"; readonly hostId: HostId; readonly reason: string }
  | { readonly kind: "refuse"; readonly hostId: HostId; readonly reason: string }
  | { readonly kind: "dispatch"; readonly hostId: HostId }
  | { readonly kind: "call_off"; readonly jobId: JobId }
  | { readonly kind: "halt"; readonly halt: Halt }
  | { readonly kind: "complete" };

/** Plans the next actions. Those after a halt are never dispatches. */
export function planFleetUpdate(snapshot: FleetSnapshot): readonly FleetAction[] {
  const settled = snapshot.hosts.map(settle);
  const settling = settled.flatMap(({ action }) => (action === undefined ? [] : [action]));
  const hosts = settled.map(({ host }) => host);
  if (snapshot.state !== "running") return [...settling, ...callOffUncommitted(hosts)];
  const failed = hosts.filter((host) => host.state === "failed");
  const failures = snapshot.failures + failed.length;
  const last =
    failed.map(({ hostId, reason }) => ({ hostId, reason: reason ?? "failed" })).at(-1) ?? snapshot.lastFailure;
  if (last !== undefined && failures > snapshot.policy.maxFailures) return [...settling, { kind: "halt", halt: last }];
  return [...settling, ...planTurns(hosts, snapshot, failures)];
}

interface SettledHost extends PlannedHost {
  readonly reason: string | null;
}

function settle(host: PlannedHost): { readonly host: SettledHost; readonly action: FleetAction | undefined } {
  const { hostId, job } = host;
  if (host.state !== "updating" || job === undefined || isOpen(job.state.name)) {
    return { host: { ...host, reason: null }, action: undefined };
  }
  const outcome = outcomeOf(job.state);
  return {
    host: { ...host, state: outcome.state, reason: outcome.reason },
    action: { kind: "settle", hostId, ...outcome },
  };
}

function outcomeOf(state: JobState): {
  readonly state: "succeeded" | "failed" | "cancelled";
  readonly reason: string | null;
} {
  switch (state.name) {
    case "succeeded":
      return { state: "succeeded", reason: null };
    case "failed":
    case "rolled_back":
      return { state: "failed", reason: state.reason };
    default:
      return { state: "cancelled", reason: null };
  }
}

/** After a halt or a cancel: what is committed is watched to its end, the rest is called off. */
function callOffUncommitted(hosts: readonly PlannedHost[]): readonly FleetAction[] {
  return hosts.flatMap(({ state, job }) =>
    state === "updating" && job !== undefined && isOpen(job.state.name) && job.state.name !== "restarting"
      ? [{ kind: "call_off" as const, jobId: job.id }]
      : [],
  );
}

function planTurns(hosts: readonly SettledHost[], snapshot: FleetSnapshot, failures: number): readonly FleetAction[] {
  const { policy } = snapshot;
  const actions: FleetAction[] = [];
  let inFlight = snapshot.underWay + hosts.filter((host) => host.state === "updating").length;
  let borne = failures;
  for (const host of hosts) {
    if (host.state !== "pending") continue;
    if (inFlight >= policy.maxInFlight) return actions;
    const turn = planTurn(host, policy);
    if (turn === "wait") return actions;
    actions.push(turn);
    if (turn.kind === "halt") return actions;
    if (turn.kind === "dispatch") inFlight += 1;
    if (turn.kind === "refuse") borne += 1;
    // The next round weighs it and halts; nothing is sent after it in this one.
    if (borne > policy.maxFailures) return actions;
  }
  if (inFlight === 0 && !snapshot.hasMorePending) actions.push({ kind: "complete" });
  return actions;
}

/** One pending host's turn. */
function planTurn(host: PlannedHost, policy: FleetUpdatePolicy): FleetAction | "wait" {
  const { hostId, refusal } = host;
  if (refusal === undefined) return { kind: "dispatch", hostId };
  switch (refusal.reason) {
    case "update_running":
      return "wait";
    case "already_at_target":
    case "host_removed":
    case "host_archived":
      return { kind: "skip", hostId, reason: refusal.reason };
    case "host_offline":
      return policy.offline === "skip"
        ? { kind: "skip", hostId, reason: refusal.reason }
        : { kind: "halt", halt: { hostId, reason: refusal.reason } };
    default:
      return { kind: "refuse", hostId, reason: refusal.reason };
  }
}

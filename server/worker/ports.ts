/** What fleet updates ask of the rest of the server. */
import type { FleetHost, FleetHostState, FleetUpdate, FleetUpdatePolicy, Halt } from "../domain/fleet-update.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import type { Job } from "../domain/job.ts";
import type { FleetSnapshot } from "../domain/plan-fleet-update.ts";
import type { UpdateRequest, UpdateTransaction } from "../watcher/ports.ts";

/** A host chosen for a fleet update. */
export interface ChosenHost {
  readonly hostId: HostId;
  readonly hostname: string;
  readonly fromVersion: string | null;
}

/** The durable side of fleet updates. */
export interface FleetStore {
  transaction<Result>(work: (tx: FleetTransaction) => Promise<Result>): Promise<Result>;
  listUnsettled(): Promise<readonly FleetUpdateId[]>;
  loadSnapshot(id: FleetUpdateId): Promise<FleetSnapshot | undefined>;
  /** Takes or prolongs the right to run fleet updates. Its epoch, or `undefined` while another has it. */
  holdLease(lifeMs: number): Promise<bigint | undefined>;
  releaseLease(): Promise<void>;
}

/** Locks are taken in the order leases, fleet updates, hosts, sessions, jobs. */
export interface FleetTransaction extends UpdateTransaction {
  /** True while this epoch is in force; it stays so until the transaction ends. */
  isLeaseInForce(epoch: bigint): Promise<boolean>;
  findTargetVersion(): Promise<string | undefined>;
  findRunning(): Promise<FleetUpdate | undefined>;
  /** Online hosts with all of these labels that do not run this version, by hostname. */
  chooseBehind(toVersion: string, labels: Labels): Promise<readonly ChosenHost[]>;
  /** These hosts in this order; those that are unknown, removed, archived or without one of the labels are left out. */
  chooseHosts(ids: readonly HostId[], labels: Labels): Promise<readonly ChosenHost[]>;
  listHosts(id: FleetUpdateId): Promise<readonly FleetHost[]>;
  insertFleetUpdate(update: {
    readonly id: FleetUpdateId;
    readonly package: string;
    readonly toVersion: string;
    readonly policy: FleetUpdatePolicy;
    readonly labels: Labels;
    readonly startedBy: string;
    readonly retryOf: FleetUpdateId | null;
    readonly hosts: readonly ChosenHost[];
  }): Promise<FleetUpdate>;
  lockFleetUpdate(id: FleetUpdateId): Promise<FleetUpdate | undefined>;
  countUpdating(id: FleetUpdateId): Promise<number>;
  /** Which of these hosts are still pending. */
  listPending(id: FleetUpdateId, hostIds: readonly HostId[]): Promise<ReadonlySet<HostId>>;
  endFleetUpdate(
    id: FleetUpdateId,
    end: { readonly state: "completed" | "cancelled" } | { readonly state: "halted"; readonly halt: Halt },
  ): Promise<FleetUpdate>;
  /** Moves one host on, if it still is where it was. */
  moveHost(
    id: FleetUpdateId,
    hostId: HostId,
    from: FleetHostState,
    to: {
      readonly state: FleetHostState;
      readonly reason?: string | null;
      readonly jobId?: JobId;
      readonly fromVersion?: string;
    },
  ): Promise<boolean>;
}

/** The one dispatch path that single and fleet updates share. */
export interface DispatchPort {
  write(tx: UpdateTransaction, request: UpdateRequest): Promise<Job>;
  send(job: Job): Promise<void>;
  cancel(jobId: string, actor: string): Promise<Job>;
}

/** Told what changed, after the change was stored. */
export interface FleetChangeSink {
  fleetUpdateChanged(id: FleetUpdateId): void;
}

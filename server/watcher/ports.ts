/**
 * What the watcher asks of the rest of the server. Every write happens inside
 * `transaction`; what is to be sent is sent after it.
 */
import type { Alert, AlertKind, NewAlert } from "../domain/alert.ts";
import type { DispatchFacts } from "../domain/dispatch-check.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { PackageVersion } from "../domain/host.ts";
import type { FleetUpdateId, HostId, JobId, SessionEpoch } from "../domain/ids.ts";
import type { Job, NewJob } from "../domain/job.ts";
import type { JobState } from "../domain/job-state.ts";
import type { NewQuarantine } from "../domain/quarantine.ts";

/** The durable side of updates. */
export interface UpdateStore {
  transaction<Result>(work: (tx: UpdateTransaction) => Promise<Result>): Promise<Result>;
  /**
   * A transaction about one host, whose commit may be shared with those of others. What is undone because of
   * another is run again, so `work` does nothing but ask the transaction.
   */
  transactionOf<Result>(hostId: HostId, work: (tx: UpdateTransaction) => Promise<Result>): Promise<Result>;
  isOwnJob(hostId: HostId, jobId: string): Promise<boolean>;
}

/**
 * Locks are taken in the order hosts, sessions, jobs. Questions about several hosts that are asked at one time
 * cost no more than one.
 */
export interface UpdateTransaction {
  lockDispatchFacts(
    hostId: HostId,
    toVersion: string | undefined,
  ): Promise<(DispatchFacts & { readonly manifestSha256: Uint8Array | undefined }) | undefined>;
  /** `undefined` when the host is unknown or removed, or a newer generation of its credential is in use. */
  openSession(facts: SessionFacts): Promise<OpenedFacts | undefined>;
  removeHost(hostId: HostId): Promise<boolean>;
  acknowledgeAlert(id: string, by: string): Promise<Alert | undefined>;
  markIdentityDuplicated(hostId: HostId): Promise<void>;
  closeSession(hostId: HostId, epoch: SessionEpoch): Promise<boolean>;
  /** True while this is the host's newest session; it stays so until the transaction ends. */
  holdSession(hostId: HostId, epoch: SessionEpoch): Promise<boolean>;
  insertJob(job: NewJob): Promise<Job>;
  lockOpenJob(hostId: HostId): Promise<Job | undefined>;
  lockJob(jobId: string): Promise<Job | undefined>;
  /** Progress gives the job its full time again. */
  saveJobState(jobId: JobId, state: JobState, isProgress: boolean): Promise<Job>;
  /** Keeps what the version that a job rolled back said last. */
  keepJobLog(jobId: JobId, lines: readonly string[]): Promise<void>;
  /** Counts a job that rolled back against its artifact. The quarantine, if that brought one about. */
  noteRollback(jobId: JobId): Promise<NewQuarantine | undefined>;
  claimDueJobs(window: {
    readonly from: Date;
    readonly to: Date;
  }): Promise<readonly { readonly job: Job; readonly isMaximumAge: boolean }[]>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
  raiseAlert(alert: NewAlert): Promise<void>;
  /** Resolves the open alerts of these kinds: of a host, or of the fleet when there is none. */
  resolveAlerts(hostId: HostId | null, kinds: readonly AlertKind[]): Promise<void>;
}

/** An update that somebody asked for. */
export interface UpdateRequest {
  readonly hostId: HostId;
  readonly requestedBy: string;
  readonly ignoreQuarantine: boolean;
  readonly fleetUpdateId: FleetUpdateId | null;
  /** The target version when it is not given. */
  readonly toVersion?: string;
}

/** What is known of a session that was just opened. */
export interface OpenedFacts {
  readonly epoch: SessionEpoch;
  readonly credentialGeneration: number;
  readonly isRotationDue: boolean;
  /** The process whose open session at another server this one took over from. */
  readonly replacedElsewhere: string | undefined;
  /** Of the agent itself. */
  readonly targetVersion: string | undefined;
}

/** What a Hello says about its host. */
export interface SessionFacts {
  readonly hostId: HostId;
  readonly instanceId: string;
  /** Of the credential that it showed. */
  readonly credentialGeneration: number;
  readonly hostname: string;
  readonly os: string;
  readonly arch: string;
  readonly agentVersion: string;
  readonly installRevision: number;
  readonly packages: readonly PackageVersion[];
  readonly sequenceFloor: number;
  readonly keysSequence: number;
}

/** The durable side of the clock. */
export interface DeadlineStore {
  readClock(): Promise<Date>;
  /** Hosts that went offline after `after` and until now. */
  listGoneOffline(after: Date): Promise<readonly HostId[]>;
  /** Gives open jobs at least this long; those whose hosts may know nothing of them, until these must be back too. */
  graceDeadlines(graceMs: number): Promise<void>;
  /** Gives open jobs whose hosts wait for a delivery their full time again, up to their greatest age. */
  renewWaitingJobs(jobIds: readonly string[]): Promise<void>;
  /** Gives everything that waits for an instant its full time again. Doing it twice does what doing it once does. */
  absorbClockJump(jumpMs: number): Promise<void>;
  touchHosts(): Promise<void>;
  /** Raises `host_offline` for whoever went offline, and forgets duplicates that were quiet: those hosts. */
  reviewHosts(): Promise<readonly HostId[]>;
  /** Notes how many hosts run each version today. */
  recordAdoption(): Promise<void>;
}

/** Told what changed, after the change was stored. */
export interface ChangeSink {
  hostChanged(hostId: HostId): void;
  jobChanged(job: Job): void;
  /** Something changed that concerns every host. */
  everythingChanged(): void;
}

/** Lets a test end the process at an exact point. */
export type ReachPoint = (point: string) => void;

/** One line for whoever reads the log. Never holds a credential. */
export type Log = (level: "info" | "warn" | "error", event: string, fields?: Readonly<Record<string, unknown>>) => void;

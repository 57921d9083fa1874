/** The store as the watcher asks for it: its questions bound to one database and one replica. */
import type { Kysely, Transaction } from "kysely";
import type { AlertKind, NewAlert } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { Durations } from "../domain/durations.ts";
import type { HostId, JobId, ReplicaId, SessionEpoch } from "../domain/ids.ts";
import type { NewJob } from "../domain/job.ts";
import type { JobState } from "../domain/job-state.ts";
import { acknowledgeAlert, forgetQuietDuplicates, raiseAlert, raiseOfflineAlerts, resolveAlerts } from "./alerts.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import {
  claimDueJobs,
  graceDeadlines,
  listGoneOffline,
  readDatabaseClock,
  absorbClockJump,
  type ClockWindow,
} from "./deadlines.ts";
import { renewWaitingJobs } from "./deliveries.ts";
import { lockDispatchFacts, removeHost } from "./hosts.ts";
import { insertJob, isOwnJob, listDispatchedJobs, listEndedJobs, lockJob, lockOpenJob, saveJobState } from "./jobs.ts";
import { noteRollback } from "./quarantine.ts";
import { findTargetVersion } from "./releases.ts";
import type { Db } from "./schema.ts";
import { recordAdoption } from "./version-adoption.ts";
import {
  closeSession,
  holdSession,
  markIdentityDuplicated,
  openSession,
  touchHosts,
  type HelloFacts,
} from "./sessions.ts";

/** How many due jobs one tick takes. */
const DUE_JOBS_A_TICK = 200;

/** What the bound questions need besides the database. */
export interface UpdateStoreOptions {
  readonly replicaId: ReplicaId;
  readonly durations: Durations;
  /** Hosts on which an artifact rolls back before it is quarantined. */
  readonly hostsToQuarantine: number;
  /** Told of alerts once the transaction that changed them is committed. */
  readonly alertsChanged: (ids: readonly string[]) => void;
}

/** Binds the questions about jobs and sessions. */
export function createUpdateStore(db: Kysely<Db>, options: UpdateStoreOptions) {
  return {
    transaction: async <Result>(work: (tx: UpdateTransactionQuestions) => Promise<Result>): Promise<Result> => {
      const changedAlerts: string[] = [];
      const result = await answered(
        db.transaction().execute((tx) => work(bindUpdateTransaction(tx, options, changedAlerts))),
      );
      if (changedAlerts.length > 0) options.alertsChanged(changedAlerts);
      return result;
    },
    findTargetVersion: (packageName: string) => answered(findTargetVersion(db, packageName)),
    isOwnJob: (hostId: HostId, jobId: string) => answered(isOwnJob(db, hostId, jobId as JobId)),
    listDispatched: (hostIds?: readonly HostId[]) => answered(listDispatchedJobs(db, options.replicaId, hostIds)),
    listEnded: (jobIds: readonly JobId[]) => answered(listEndedJobs(db, jobIds)),
  };
}

/** The questions about jobs and sessions inside one transaction. */
export type UpdateTransactionQuestions = ReturnType<typeof bindUpdateTransaction>;

/** Binds them. Alerts that change are added to `changedAlerts`. */
export function bindUpdateTransaction(tx: Transaction<Db>, options: UpdateStoreOptions, changedAlerts: string[]) {
  const { replicaId, durations } = options;
  return {
    lockDispatchFacts: (hostId: HostId, toVersion: string | undefined) => lockDispatchFacts(tx, hostId, toVersion),
    openSession: (facts: Omit<HelloFacts, "replicaId">) => openSession(tx, { ...facts, replicaId }),
    closeSession: (hostId: HostId, epoch: SessionEpoch) => closeSession(tx, hostId, epoch, durations.offlineAfterMs),
    holdSession: (hostId: HostId, epoch: SessionEpoch) => holdSession(tx, hostId, epoch),
    markIdentityDuplicated: (hostId: HostId) => markIdentityDuplicated(tx, hostId),
    removeHost: (hostId: HostId) => removeHost(tx, hostId),
    acknowledgeAlert: async (id: string, by: string) => {
      const alert = await acknowledgeAlert(tx, id, by);
      if (alert !== undefined) changedAlerts.push(id);
      return alert;
    },
    insertJob: (job: NewJob) => insertJob(tx, job, durations),
    lockOpenJob: (hostId: HostId) => lockOpenJob(tx, hostId),
    lockJob: (jobId: string) => lockJob(tx, jobId as JobId),
    saveJobState: (jobId: JobId, state: JobState, isProgress: boolean) =>
      saveJobState(tx, jobId, state, isProgress ? durations.progressDeadlineMs : undefined),
    noteRollback: (jobId: JobId) => noteRollback(tx, jobId, options.hostsToQuarantine),
    claimDueJobs: (window: ClockWindow) => claimDueJobs(tx, window, DUE_JOBS_A_TICK),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
    raiseAlert: async (alert: NewAlert) => {
      changedAlerts.push(await raiseAlert(tx, alert));
    },
    resolveAlerts: async (hostId: HostId | null, kinds: readonly AlertKind[]) => {
      changedAlerts.push(...(await resolveAlerts(tx, hostId, kinds)));
    },
  };
}

/** Binds the questions about deadlines and liveness. */
export function createDeadlineStore(db: Kysely<Db>, options: UpdateStoreOptions) {
  const { replicaId, durations, alertsChanged } = options;
  return {
    readClock: () => answered(readDatabaseClock(db)),
    listGoneOffline: (after: Date) => answered(listGoneOffline(db, after)),
    graceDeadlines: (graceMs: number) =>
      answered(graceDeadlines(db, { openMs: graceMs, dispatchedMs: durations.startGraceMs + graceMs })),
    renewWaitingJobs: (jobIds: readonly string[]) =>
      answered(renewWaitingJobs(db, jobIds as readonly JobId[], durations.progressDeadlineMs)),
    absorbClockJump: (jumpMs: number) =>
      answered(db.transaction().execute((tx) => absorbClockJump(tx, jumpMs, durations))),
    touchHosts: () => answered(touchHosts(db, replicaId)),
    recordAdoption: () => answered(recordAdoption(db)),
    reviewHosts: async () => {
      const { offline, quiet } = await answered(
        db.transaction().execute(async (tx) => ({
          offline: await raiseOfflineAlerts(tx),
          quiet: await forgetQuietDuplicates(tx, durations.quietDuplicateMs),
        })),
      );
      const changed = [...offline, ...quiet.alertIds];
      if (changed.length > 0) alertsChanged(changed);
      return quiet.hostIds;
    },
  };
}

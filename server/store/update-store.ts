/** The store as the watcher asks for it: its questions bound to one database and one replica. */
import type { Kysely, Transaction } from "kysely";
import type { AlertKind, NewAlert } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { Durations } from "../domain/durations.ts";
import type { HostId, JobId, ReplicaId, SessionEpoch } from "../domain/ids.ts";
import type { NewJob } from "../domain/job.ts";
import type { JobState } from "../domain/job-state.ts";
import {
  acknowledgeAlert,
  forgetQuietDuplicates,
  raiseAlert,
  raiseOfflineAlerts,
  resolveAlerts,
  type ResolvedKinds,
} from "./alerts.ts";
import { writeAuditEvents } from "./audit-events.ts";
import { answered } from "./away.ts";
import { CoalescedQuestions } from "./coalesced-questions.ts";
import {
  claimDueJobs,
  graceDeadlines,
  listGoneOffline,
  readDatabaseClock,
  absorbClockJump,
  type ClockWindow,
} from "./deadlines.ts";
import { addDelivered, renewWaitingJobs, type Delivered } from "./deliveries.ts";
import { lockDispatchFacts, removeHost, type Destination } from "./hosts.ts";
import {
  insertJobs,
  isOwnJob,
  listDispatchedJobs,
  listEndedJobs,
  listOpenJobs,
  lockJobs,
  lockOpenJobs,
  saveJobStates,
  type NewJobState,
} from "./jobs.ts";
import { keepJobLog } from "./job-logs.ts";
import { noteRollback } from "./quarantine.ts";
import type { Db } from "./schema.ts";
import { recordAdoption } from "./version-adoption.ts";
import {
  closeSessions,
  holdSessions,
  markIdentityDuplicated,
  openSessions,
  touchHosts,
  type HelloFacts,
  type SessionKey,
} from "./sessions.ts";
import { SharedTransactions, type GatherClock, type RunTransaction } from "./shared-transactions.ts";

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
export function createUpdateStore(db: Kysely<Db>, options: UpdateStoreOptions & { readonly clock: GatherClock }) {
  const transaction: RunTransaction<UpdateTransactionQuestions> = async (work) => {
    const changedAlerts: string[] = [];
    const result = await answered(
      db.transaction().execute((tx) => work(bindUpdateTransaction(tx, options, changedAlerts))),
    );
    if (changedAlerts.length > 0) options.alertsChanged(changedAlerts);
    return result;
  };
  const shared = new SharedTransactions(transaction, options.clock);
  return {
    transaction,
    transactionOf: <Result>(hostId: HostId, work: (tx: UpdateTransactionQuestions) => Promise<Result>) =>
      shared.run(hostId, work),
    addDelivered: (hostId: HostId, jobId: string, bytes: number) =>
      shared.run(hostId, (tx) => tx.addDelivered(jobId as JobId, bytes)),
    isOwnJob: (hostId: HostId, jobId: string) => answered(isOwnJob(db, hostId, jobId as JobId)),
    listOpenJobs: () => answered(listOpenJobs(db)),
    listDispatched: (hostIds?: readonly HostId[]) => answered(listDispatchedJobs(db, options.replicaId, hostIds)),
    listEnded: (jobIds: readonly JobId[]) => answered(listEndedJobs(db, jobIds)),
  };
}

/** The questions about jobs and sessions inside one transaction. */
export type UpdateTransactionQuestions = ReturnType<typeof bindUpdateTransaction>;

/**
 * Binds them. Those that are asked at one time are one statement, kind by kind in the order below: that of locks.
 * Alerts that change are added to `changedAlerts`.
 */
export function bindUpdateTransaction(
  tx: Transaction<Db>,
  options: UpdateStoreOptions,
  changedAlerts: string[],
  questions = new CoalescedQuestions(),
) {
  const { replicaId, durations } = options;
  const openOne = questions.add((hellos: readonly HelloFacts[]) => openSessions(tx, hellos));
  const closeOne = questions.add((keys: readonly SessionKey[]) => closeSessions(tx, keys, durations.offlineAfterMs));
  const lockFacts = questions.add((destinations: readonly Destination[]) => lockDispatchFacts(tx, destinations));
  const holdOne = questions.add((keys: readonly SessionKey[]) => holdSessions(tx, keys));
  const resolveOfOne = questions.add((asked: readonly ResolvedKinds[]) => resolveAlerts(tx, asked));
  const lockOpenOne = questions.add((hostIds: readonly HostId[]) => lockOpenJobs(tx, hostIds));
  const lockOne = questions.add((ids: readonly JobId[]) => lockJobs(tx, ids));
  const insertOne = questions.add((jobs: readonly NewJob[]) => insertJobs(tx, jobs, durations));
  const saveOne = questions.add((states: readonly NewJobState[]) =>
    saveJobStates(tx, states, durations.progressDeadlineMs),
  );
  const deliverOne = questions.add(async (delivered: readonly Delivered[]) => {
    await addDelivered(tx, delivered);
    return delivered.map(() => undefined);
  });
  const writeOne = questions.add(async (events: readonly NewAuditEvent[]) => {
    await writeAuditEvents(tx, events);
    return events.map(() => undefined);
  });
  return {
    lockDispatchFacts: (hostId: HostId, toVersion: string | undefined) => lockFacts({ hostId, toVersion }),
    openSession: (facts: Omit<HelloFacts, "replicaId">) => openOne({ ...facts, replicaId }),
    closeSession: (hostId: HostId, epoch: SessionEpoch) => closeOne({ hostId, epoch }),
    holdSession: (hostId: HostId, epoch: SessionEpoch) => holdOne({ hostId, epoch }),
    markIdentityDuplicated: (hostId: HostId) => markIdentityDuplicated(tx, hostId),
    removeHost: (hostId: HostId) => removeHost(tx, hostId),
    acknowledgeAlert: async (id: string, by: string) => {
      const alert = await acknowledgeAlert(tx, id, by);
      if (alert !== undefined) changedAlerts.push(id);
      return alert;
    },
    insertJob: insertOne,
    lockOpenJob: lockOpenOne,
    lockJob: (jobId: string) => lockOne(jobId as JobId),
    saveJobState: (id: JobId, state: JobState, isProgress: boolean) => saveOne({ id, state, isProgress }),
    addDelivered: (jobId: JobId, bytes: number) => deliverOne({ jobId, bytes }),
    keepJobLog: (jobId: JobId, lines: readonly string[]) => keepJobLog(tx, jobId, lines),
    noteRollback: (jobId: JobId) => noteRollback(tx, jobId, options.hostsToQuarantine),
    claimDueJobs: (window: ClockWindow) => claimDueJobs(tx, window, DUE_JOBS_A_TICK),
    writeAuditEvent: writeOne,
    raiseAlert: async (alert: NewAlert) => {
      const id = await raiseAlert(tx, alert);
      if (id !== undefined) changedAlerts.push(id);
    },
    resolveAlerts: async (hostId: HostId | null, kinds: readonly AlertKind[]) => {
      changedAlerts.push(...(await resolveOfOne({ hostId, kinds })));
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

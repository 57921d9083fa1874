/** The store as the watcher asks for it: its questions bound to one database and one replica. */
import type { Kysely, Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { Durations } from "../domain/durations.ts";
import type { HostId, JobId, ReplicaId, SessionEpoch } from "../domain/ids.ts";
import type { NewJob } from "../domain/job.ts";
import type { JobState } from "../domain/job-state.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import {
  claimDueJobs,
  graceDeadlines,
  listGoneOffline,
  readDatabaseClock,
  shiftDeadlines,
  type ClockWindow,
} from "./deadlines.ts";
import { lockDispatchFacts } from "./hosts.ts";
import { insertJob, isOwnJob, lockJob, lockOpenJob, saveJobState } from "./jobs.ts";
import { findTargetVersion } from "./releases.ts";
import type { Db } from "./schema.ts";
import {
  closeSession,
  holdSession,
  markIdentityDuplicated,
  openSession,
  takeOverSessions,
  touchHosts,
  touchReplica,
  type HelloFacts,
} from "./sessions.ts";

/** How many due jobs one tick takes. */
const DUE_JOBS_A_TICK = 200;

/** Binds the questions about jobs and sessions. */
export function createUpdateStore(db: Kysely<Db>, replicaId: ReplicaId, durations: Durations) {
  type Bound = ReturnType<typeof bindTransaction>;
  return {
    transaction: <Result>(work: (tx: Bound) => Promise<Result>): Promise<Result> =>
      answered(db.transaction().execute((tx) => work(bindTransaction(tx, replicaId, durations)))),
    findTargetVersion: (packageName: string) => answered(findTargetVersion(db, packageName)),
    isOwnJob: (hostId: HostId, jobId: string) => answered(isOwnJob(db, hostId, jobId as JobId)),
    markIdentityDuplicated: (hostId: HostId) => answered(markIdentityDuplicated(db, hostId)),
  };
}

function bindTransaction(tx: Transaction<Db>, replicaId: ReplicaId, durations: Durations) {
  return {
    lockDispatchFacts: (hostId: HostId) => lockDispatchFacts(tx, hostId),
    openSession: (facts: Omit<HelloFacts, "replicaId">) => openSession(tx, { ...facts, replicaId }),
    closeSession: (hostId: HostId, epoch: SessionEpoch) => closeSession(tx, hostId, epoch, durations.offlineAfterMs),
    holdSession: (hostId: HostId, epoch: SessionEpoch) => holdSession(tx, hostId, epoch),
    insertJob: (job: NewJob) => insertJob(tx, job, durations),
    lockOpenJob: (hostId: HostId) => lockOpenJob(tx, hostId),
    lockJob: (jobId: string) => lockJob(tx, jobId as JobId),
    saveJobState: (jobId: JobId, state: JobState, isProgress: boolean) =>
      saveJobState(tx, jobId, state, isProgress ? durations.progressDeadlineMs : undefined),
    claimDueJobs: (window: ClockWindow) => claimDueJobs(tx, window, DUE_JOBS_A_TICK),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}

/** Binds the questions about deadlines and liveness. */
export function createDeadlineStore(db: Kysely<Db>, replicaId: ReplicaId, durations: Durations) {
  return {
    takeOverSessions: () => db.transaction().execute((tx) => takeOverSessions(tx, replicaId, durations.startGraceMs)),
    readClock: () => answered(readDatabaseClock(db)),
    listGoneOffline: (after: Date) => answered(listGoneOffline(db, after)),
    graceDeadlines: (graceMs: number) => answered(graceDeadlines(db, graceMs)),
    shiftDeadlines: (jumpMs: number) => answered(db.transaction().execute((tx) => shiftDeadlines(tx, jumpMs))),
    touchReplica: () => answered(touchReplica(db, replicaId)),
    touchHosts: () => answered(touchHosts(db, replicaId)),
  };
}

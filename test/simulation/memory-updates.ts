/** The questions about hosts, sessions and jobs, answered as the real store answers them. */
import type { AlertKind, NewAlert } from "../../server/domain/alert.ts";
import type { Durations } from "../../server/domain/durations.ts";
import { platformOf } from "../../server/domain/host.ts";
import type { HostId, JobId, ReplicaId, SessionEpoch } from "../../server/domain/ids.ts";
import type { Job, NewJob } from "../../server/domain/job.ts";
import { isOpen, type JobState } from "../../server/domain/job-state.ts";
import { HOSTS_TO_QUARANTINE } from "../../server/domain/quarantine.ts";
import type { SessionFacts, UpdateTransaction } from "../../server/watcher/ports.ts";
import type { HostRow, JobRow, MemoryDatabase, TransactionNotes } from "./memory-database.ts";

/** True while the host counts as online. */
export function isOnline(db: MemoryDatabase, host: HostRow): boolean {
  return host.offlineAtMs === null || host.offlineAtMs > db.nowMs;
}

/** True once a version rolled back on as many committed hosts as it takes. */
export function isQuarantined(db: MemoryDatabase, version: string): boolean {
  const hosts = [...db.rows("jobs")]
    .filter(({ job }) => job.state.name === "rolled_back" && job.committedAt !== null && job.toVersion === version)
    .map(({ job }) => job.hostId);
  return new Set(hosts).size >= HOSTS_TO_QUARANTINE;
}

/** The questions of one transaction. */
export function updateQuestions(
  db: MemoryDatabase,
  replicaId: ReplicaId,
  durations: Durations,
  notes: TransactionNotes,
): UpdateTransaction {
  return {
    lockDispatchFacts: async (hostId, toVersion) => {
      const host = db.read("hosts", hostId);
      if (host === undefined || host.isRemoved) return undefined;
      const targetVersion = toVersion ?? db.targetVersion;
      const manifestSha256 = db.findManifest(targetVersion ?? "");
      return {
        isArchived: false,
        isOffline: !isOnline(db, host),
        isIdentityDuplicated: host.isDuplicated,
        agentVersion: host.agentVersion ?? "",
        platform: platformOf(host),
        targetVersion,
        openJobId: db.openJob(hostId)?.job.id,
        artifactSha256: manifestSha256 && host.arch === "x64" ? "ab".repeat(32) : undefined,
        isQuarantined: isQuarantined(db, targetVersion ?? ""),
        sequenceFloor: 0,
        greatestFloor: undefined,
        installRevision: 0,
        expectedRevision: 0,
        manifestSha256,
      };
    },
    openSession: async (facts) => openSession(db, replicaId, facts),
    keepJobLog: async () => undefined,
    closeSession: async (hostId, epoch) => closeSession(db, hostId, epoch, durations),
    holdSession: async (hostId, epoch) => {
      const session = db.read("sessions", hostId);
      const isHeld = session?.isOpen === true && session.epoch === epoch;
      if (!isHeld) notes.staleHosts.add(hostId);
      return isHeld;
    },
    removeHost: async (hostId) => {
      const host = db.read("hosts", hostId);
      if (host === undefined || host.isRemoved) return false;
      db.write("hosts", hostId, { ...host, isRemoved: true });
      return true;
    },
    acknowledgeAlert: async () => undefined,
    markIdentityDuplicated: async (hostId) => {
      const host = db.read("hosts", hostId);
      if (host !== undefined) db.write("hosts", hostId, { ...host, isDuplicated: true });
    },
    insertJob: async (job) => insertJob(db, job, durations),
    lockOpenJob: async (hostId) => db.openJob(hostId)?.job,
    lockJob: async (jobId) => db.read("jobs", jobId)?.job,
    saveJobState: async (jobId, state, isProgress) => saveJobState(db, jobId, state, isProgress, durations),
    noteRollback: async () => undefined,
    claimDueJobs: async (window) => claimDueJobs(db, window),
    writeAuditEvent: async () => undefined,
    raiseAlert: async (alert) => raiseAlert(db, alert),
    resolveAlerts: async (hostId, kinds) => {
      for (const kind of kinds) {
        const key = alertKey(kind, hostId);
        if (db.read("alerts", key) !== undefined) db.write("alerts", key, undefined);
      }
    },
  };
}

function openSession(db: MemoryDatabase, replicaId: ReplicaId, facts: SessionFacts) {
  const host = db.read("hosts", facts.hostId);
  if (host === undefined || host.isRemoved) return undefined;
  const { hostname, os, arch, agentVersion } = facts;
  db.write("hosts", host.id, { ...host, hostname, os, arch, agentVersion, offlineAtMs: null });
  const epoch = db.nextEpoch();
  db.write("sessions", host.id, { replicaId, epoch, isOpen: true });
  const { targetVersion } = db;
  return { epoch, credentialGeneration: 1, isRotationDue: false, replacedElsewhere: undefined, targetVersion };
}

function closeSession(db: MemoryDatabase, hostId: HostId, epoch: SessionEpoch, durations: Durations): boolean {
  const host = db.read("hosts", hostId);
  const session = db.read("sessions", hostId);
  if (host === undefined || session === undefined || !session.isOpen || session.epoch !== epoch) return false;
  db.write("sessions", hostId, { ...session, isOpen: false });
  db.write("hosts", hostId, { ...host, offlineAtMs: db.nowMs + durations.offlineAfterMs });
  return true;
}

function insertJob(db: MemoryDatabase, job: NewJob, durations: Durations): Job {
  const now = new Date(db.nowMs);
  const deadlineMs = db.nowMs + Math.min(durations.progressDeadlineMs, durations.greatestJobAgeMs);
  const stored: Job = {
    ...job,
    kind: "update",
    state: { name: "dispatched" },
    bytesDone: 0,
    bytesTotal: 0,
    bytesDelivered: 0,
    bytesSaved: 0,
    createdAt: now,
    changedAt: now,
    committedAt: null,
    endedAt: null,
    deadlineAt: new Date(deadlineMs),
  };
  db.write("jobs", job.id, { job: stored, deadlineMs, lastDeadlineMs: db.nowMs + durations.greatestJobAgeMs });
  return stored;
}

function saveJobState(
  db: MemoryDatabase,
  jobId: JobId,
  state: JobState,
  isProgress: boolean,
  durations: Durations,
): Job {
  const row = db.read("jobs", jobId);
  if (row === undefined) throw new Error(`no row for the job ${jobId}`);
  const { job } = row;
  const now = new Date(db.nowMs);
  const isEnd = !isOpen(state.name);
  const deadlineMs = isProgress && !isEnd ? renewedDeadline(db, row, durations) : row.deadlineMs;
  const stored: Job = {
    ...job,
    state,
    ...(state.name === "downloading" ? { bytesDone: state.bytesDone, bytesTotal: state.bytesTotal } : {}),
    changedAt: now,
    committedAt: state.name === "restarting" ? (job.committedAt ?? now) : job.committedAt,
    endedAt: isEnd ? (job.endedAt ?? now) : null,
    deadlineAt: isEnd ? null : new Date(deadlineMs),
  };
  db.write("jobs", jobId, { ...row, job: stored, deadlineMs });
  return stored;
}

function renewedDeadline(db: MemoryDatabase, row: JobRow, durations: Durations): number {
  return Math.min(db.nowMs + durations.progressDeadlineMs, Math.max(row.lastDeadlineMs, row.deadlineMs));
}

function claimDueJobs(db: MemoryDatabase, window: { readonly from: Date; readonly to: Date }) {
  if (db.nowMs < window.from.getTime() || db.nowMs > window.to.getTime()) return [];
  return [...db.rows("jobs")]
    .filter(({ job, deadlineMs }) => job.endedAt === null && deadlineMs <= db.nowMs)
    .sort((one, other) => one.deadlineMs - other.deadlineMs)
    .map(({ job, deadlineMs, lastDeadlineMs }) => ({ job, isMaximumAge: deadlineMs >= lastDeadlineMs }));
}

function alertKey(kind: AlertKind, hostId: HostId | null): string {
  return `${kind} ${hostId ?? "fleet"}`;
}

function raiseAlert(db: MemoryDatabase, { kind, hostId, reason }: NewAlert): void {
  const key = alertKey(kind, hostId);
  const timesRaised = (db.read("alerts", key)?.timesRaised ?? 0) + 1;
  db.write("alerts", key, { kind, hostId, reason, timesRaised });
}

/** The store as one server process sees it: the same ports as the real one, over the database in memory. */
import type { Durations } from "../../server/domain/durations.ts";
import type { ReplicaId } from "../../server/domain/ids.ts";
import { SharedTransactions, type GatherClock } from "../../server/store/shared-transactions.ts";
import type { DeadlineStore, UpdateStore } from "../../server/watcher/ports.ts";
import type { FleetStore } from "../../server/worker/ports.ts";
import type { MemoryDatabase } from "./memory-database.ts";
import { fleetQuestions, holdLease, listUnsettled, loadSnapshot, releaseLease } from "./memory-fleets.ts";
import { updateQuestions } from "./memory-updates.ts";

/** How a process reaches its database. */
export type Call = <Result>(work: () => Result | Promise<Result>) => Promise<Result>;

/** What a server is given to keep its rows in. */
export interface StorePorts {
  readonly updates: UpdateStore;
  readonly fleets: FleetStore;
  readonly deadlines: DeadlineStore & { takeOverSessions(): Promise<void>; touchReplica(): Promise<void> };
}

interface StoreOptions {
  readonly db: MemoryDatabase;
  readonly replicaId: ReplicaId;
  readonly durations: Durations;
  readonly lookAhead: number;
  readonly call: Call;
  readonly clock: GatherClock;
}

/** Binds the questions to one process. */
export function createMemoryStore(options: StoreOptions): StorePorts {
  const { db, replicaId, durations, lookAhead, call, clock } = options;
  const transaction: UpdateStore["transaction"] = (work) =>
    call(() => db.transaction(replicaId, (notes) => work(updateQuestions(db, replicaId, durations, notes))));
  const shared = new SharedTransactions(transaction, clock);
  const change = (work: () => void): Promise<void> => call(() => db.transaction(replicaId, work));
  return {
    updates: {
      transaction,
      transactionOf: (hostId, work) => shared.run(hostId, work),
      isOwnJob: (hostId, jobId) => call(() => db.read("jobs", jobId)?.job.hostId === hostId),
    },
    fleets: {
      transaction: (work) =>
        call(() =>
          db.transaction(replicaId, (notes) =>
            work({ ...updateQuestions(db, replicaId, durations, notes), ...fleetQuestions(db, replicaId, notes) }),
          ),
        ),
      listUnsettled: () => call(() => listUnsettled(db)),
      loadSnapshot: (id) => call(() => db.transaction(replicaId, () => loadSnapshot(db, id, lookAhead))),
      holdLease: (lifeMs) => call(() => db.transaction(replicaId, () => holdLease(db, replicaId, lifeMs))),
      releaseLease: () => change(() => releaseLease(db, replicaId)),
    },
    deadlines: {
      readClock: () => call(() => new Date(db.nowMs)),
      listGoneOffline: (after) => call(() => listGoneOffline(db, after.getTime())),
      graceDeadlines: (graceMs) => change(() => graceDeadlines(db, graceMs, durations.startGraceMs)),
      renewWaitingJobs: async () => undefined,
      absorbClockJump: (jumpMs) => change(() => absorbClockJump(db, jumpMs, durations)),
      touchReplica: () => change(() => db.write("replicas", replicaId, { aliveAtMs: db.nowMs })),
      touchHosts: async () => undefined,
      reviewHosts: async () => [],
      recordAdoption: async () => undefined,
      takeOverSessions: () => change(() => takeOverSessions(db, replicaId, durations.startGraceMs)),
    },
  };
}

function listGoneOffline(db: MemoryDatabase, afterMs: number) {
  const isGone = (atMs: number | null): boolean => atMs !== null && atMs > afterMs && atMs <= db.nowMs;
  return [...db.rows("hosts")].filter((host) => !host.isRemoved && isGone(host.offlineAtMs)).map((host) => host.id);
}

function graceDeadlines(db: MemoryDatabase, graceMs: number, startGraceMs: number): void {
  for (const row of db.rows("jobs")) {
    const isDispatched = row.job.state.name === "dispatched";
    const deadlineMs = Math.max(row.deadlineMs, db.nowMs + graceMs + (isDispatched ? startGraceMs : 0));
    if (row.job.endedAt === null && deadlineMs !== row.deadlineMs) {
      db.write("jobs", row.job.id, { ...row, deadlineMs });
    }
  }
}

function absorbClockJump(db: MemoryDatabase, jumpMs: number, durations: Durations): void {
  const { progressDeadlineMs, greatestJobAgeMs, offlineAfterMs, startGraceMs } = durations;
  for (const row of db.rows("jobs")) {
    if (row.job.endedAt !== null) continue;
    const isPlausible = row.lastDeadlineMs >= db.nowMs && row.lastDeadlineMs <= db.nowMs + greatestJobAgeMs;
    db.write("jobs", row.job.id, {
      ...row,
      deadlineMs: db.nowMs + progressDeadlineMs,
      lastDeadlineMs: isPlausible
        ? Math.max(row.lastDeadlineMs, db.nowMs + progressDeadlineMs)
        : db.nowMs + greatestJobAgeMs,
    });
  }
  for (const host of db.rows("hosts")) {
    if (host.isRemoved || host.offlineAtMs === null) continue;
    const wasOnline = host.offlineAtMs > db.nowMs - jumpMs;
    const isImplausible = host.offlineAtMs > db.nowMs + startGraceMs;
    const offlineAtMs = wasOnline ? db.nowMs + offlineAfterMs : isImplausible ? db.nowMs : host.offlineAtMs;
    db.write("hosts", host.id, { ...host, offlineAtMs });
  }
}

function takeOverSessions(db: MemoryDatabase, replicaId: ReplicaId, startGraceMs: number): void {
  const aliveAtMs = db.read("replicas", replicaId)?.aliveAtMs;
  for (const host of db.rows("hosts")) {
    if (host.isRemoved) continue;
    const session = db.read("sessions", host.id);
    const isMine = session?.isOpen === true && session.replicaId === replicaId;
    const wasNotOffline = host.offlineAtMs !== null && aliveAtMs !== undefined && host.offlineAtMs > aliveAtMs;
    if (isMine || wasNotOffline) db.write("hosts", host.id, { ...host, offlineAtMs: db.nowMs + startGraceMs });
    if (isMine) db.write("sessions", host.id, { ...session, isOpen: false });
  }
  db.write("replicas", replicaId, { aliveAtMs: db.nowMs });
}

/**
 * One server among others: it renews its lease, frees the hosts of those whose lease
 * has ended, and keeps what it holds and what the database says of that the same.
 *
 * Nobody is taken for dead by one who could not know: a server that stood still, that
 * could not reach the database or that saw its clock jump first looks on for the life
 * of a lease. So a database that was away for a minute frees no host.
 *
 * Who was taken for dead finds out when it renews its lease. Its sessions are void by
 * then, wherever its hosts are: all that they say is refused, and they are sent away.
 */
import type { Clock } from "../domain/clock.ts";
import type { Durations } from "../domain/durations.ts";
import type { HostId } from "../domain/ids.ts";
import type { Log, ReplicaStore, SessionsHere } from "./ports.ts";

/** What the loop works with. */
export interface ReplicaLoopParts {
  readonly store: ReplicaStore;
  readonly sessions: SessionsHere;
  readonly hostChanged: (hostId: HostId) => void;
  /** Called when another process runs under this replica's name. This one must end. */
  readonly onTaken: () => void;
  readonly clock: Clock;
  readonly durations: Pick<Durations, "leaseMs" | "stallMs">;
  readonly log: Log;
}

/** *Units*: milliseconds from one comparison of all sessions to the next. */
const REVIEW_INTERVAL_MS = 60_000;
/** So often is a lease renewed in its life. */
const RENEWALS_A_LEASE = 4;

interface Renewed {
  readonly monotonicMs: number;
  readonly databaseMs: number;
}

export class ReplicaLoop implements AsyncDisposable {
  readonly #parts: ReplicaLoopParts;
  #last: Renewed | undefined;
  /** Since when nothing was missed. */
  #watchingSinceMs: number | undefined;
  #reviewedAtMs: number;
  #timer: Disposable | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: ReplicaLoopParts) {
    this.#parts = parts;
    this.#reviewedAtMs = parts.clock.monotonicMs();
  }

  start(): void {
    this.#schedule();
  }

  /** Compares all sessions, such as after notices may have been missed. */
  review(): void {
    this.#running = this.#running.then(() => this.#safely(() => this.#reviewSessions()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.clock.schedule(this.#parts.durations.leaseMs / RENEWALS_A_LEASE, () => {
      this.#running = this.#running.then(() => this.#safely(() => this.tick())).then(() => this.#schedule());
    });
  }

  async #safely(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#watchingSinceMs = undefined;
      this.#parts.log("warn", "keeping this server's place among the others", { error: String(error) });
    }
  }

  /** Renews the lease, and looks after others when this server can judge. */
  async tick(): Promise<void> {
    const { store, clock, durations, sessions, log, onTaken, hostChanged } = this.#parts;
    const { renewal, at } = await store.renew();
    const nowMs = clock.monotonicMs();
    if (renewal === "taken" || at === undefined) return onTaken();
    this.#watch({ monotonicMs: nowMs, databaseMs: at.getTime() });
    if (renewal === "freed") {
      log("warn", "the other servers took this one for dead; its agents are sent away");
      this.#watchingSinceMs = nowMs;
      sessions.sendAway();
    }
    if (nowMs - (this.#watchingSinceMs ?? nowMs) >= durations.leaseMs) {
      const freed = await store.freeDead(at);
      if (freed.length > 0) log("warn", "a server is gone; its hosts are free", { hosts: freed.length });
      for (const hostId of freed) hostChanged(hostId);
    }
    if (nowMs - this.#reviewedAtMs >= REVIEW_INTERVAL_MS) await this.#reviewSessions();
  }

  /** Starts over when something was missed since the last renewal, or the database's clock moved otherwise than ours. */
  #watch(renewed: Renewed): void {
    const { leaseMs, stallMs } = this.#parts.durations;
    const last = this.#last;
    this.#last = renewed;
    const elapsedMs = renewed.monotonicMs - (last?.monotonicMs ?? renewed.monotonicMs);
    const jumpMs = renewed.databaseMs - (last?.databaseMs ?? renewed.databaseMs) - elapsedMs;
    const missedSomething = elapsedMs > leaseMs || Math.abs(jumpMs) > stallMs;
    if (this.#watchingSinceMs === undefined || missedSomething) this.#watchingSinceMs = renewed.monotonicMs;
  }

  /** Ends streams whose sessions are void, and closes sessions that have no stream: whose end could not be stored. */
  async #reviewSessions(): Promise<void> {
    const { store, sessions, hostChanged, clock } = this.#parts;
    this.#reviewedAtMs = clock.monotonicMs();
    // Read first: what is opened meanwhile stands in the rows, and not here.
    const here = sessions.list();
    const stored = await store.listSessions();
    const epochs = new Map(stored.map(({ hostId, epoch }) => [hostId, epoch]));
    for (const { hostId, epoch } of here) {
      if (epochs.get(hostId) !== epoch) sessions.endUpTo(hostId, epoch);
    }
    for (const session of stored) {
      if (sessions.has(session.hostId)) continue;
      if (await store.closeSession(session)) hostChanged(session.hostId);
    }
  }
}

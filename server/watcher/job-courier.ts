/**
 * Brings jobs that another server wrote to the hosts whose sessions are here: the
 * command of one that is dispatched, the cancel of one that has ended. What is to be
 * done is read from the jobs alone, for the hosts that somebody told of and, at
 * intervals, for all: a server that ended between storing and telling costs a second.
 */
import type { Clock } from "../domain/clock.ts";
import type { HostId, JobId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import type { CommandedSession, HostMailboxes } from "./host-mailboxes.ts";
import type { Log } from "./ports.ts";
import { cancelUpdate, commandUpdate } from "./server-messages.ts";

/** What the courier asks of the store. */
export interface ErrandStore {
  /** The dispatched jobs of hosts whose sessions this server holds; of these hosts alone when they are given. */
  listDispatched(hostIds?: readonly HostId[]): Promise<readonly Job[]>;
  /** Those of these jobs that have ended. */
  listEnded(jobIds: readonly JobId[]): Promise<readonly JobId[]>;
}

/** What the courier works with. */
export interface JobCourierParts {
  readonly store: ErrandStore;
  readonly mailboxes: HostMailboxes;
  readonly clock: Clock;
  /** *Units*: milliseconds from one look at all hosts to the next. */
  readonly intervalMs: number;
  readonly log: Log;
}

export class JobCourier implements AsyncDisposable {
  readonly #parts: JobCourierParts;
  /** Hosts to look for once the look that is under way is over. */
  readonly #waiting = new Set<HostId>();
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;
  #timer: Disposable | undefined;
  #isStopped = false;

  constructor(parts: JobCourierParts) {
    this.#parts = parts;
  }

  /** Looks at all hosts, and again at every interval. */
  start(): void {
    this.#running = this.#running.then(() => this.#lookSafely()).then(() => this.#schedule());
  }

  /** There may be something for these hosts. */
  look(hostIds: readonly HostId[]): void {
    for (const hostId of hostIds) if (this.#parts.mailboxes.has(hostId)) this.#waiting.add(hostId);
    if (this.#isRunning || this.#waiting.size === 0 || this.#isStopped) return;
    this.#isRunning = true;
    this.#running = this.#running
      .then(() => this.#lookForWaiting())
      .finally(() => {
        this.#isRunning = false;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.clock.schedule(this.#parts.intervalMs, () => this.start());
  }

  async #lookForWaiting(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#isStopped) {
      const hostIds = [...this.#waiting];
      this.#waiting.clear();
      await this.#lookSafely(hostIds);
    }
  }

  async #lookSafely(hostIds?: readonly HostId[]): Promise<void> {
    try {
      await this.#lookFor(hostIds);
    } catch (error) {
      // The next look makes up for it.
      this.#parts.log("warn", "looking for jobs of other servers", { error: String(error) });
    }
  }

  async #lookFor(hostIds: readonly HostId[] | undefined): Promise<void> {
    const { store, mailboxes } = this.#parts;
    // Before what is dispatched is read: a session is not told to drop what it is commanded meanwhile.
    await this.#cancelEnded(mailboxes.listCommanded(), hostIds && new Set(hostIds));
    for (const job of await store.listDispatched(hostIds)) {
      if (mailboxes.has(job.hostId)) mailboxes.send(job.hostId, commandUpdate(job));
    }
  }

  async #cancelEnded(commanded: readonly CommandedSession[], hostIds: ReadonlySet<HostId> | undefined): Promise<void> {
    const asked = commanded.filter(({ hostId }) => hostIds?.has(hostId) ?? true);
    if (asked.length === 0) return;
    const ended = new Set(await this.#parts.store.listEnded(asked.map(({ jobId }) => jobId)));
    for (const { hostId, jobId } of asked) {
      if (ended.has(jobId) && this.#parts.mailboxes.has(hostId))
        this.#parts.mailboxes.send(hostId, cancelUpdate(jobId));
    }
  }
}

/**
 * Fails jobs whose deadline has passed, and keeps time honest.
 *
 * Each tick holds the database's clock against this process's monotonic one. A tick
 * that came late means the process stood still: nobody could report to it, so every
 * open job gets grace. A database clock that moved by more than the monotonic one
 * jumped: whatever waits for an instant gets its full time again. Only then is what is due claimed, and only
 * while the clock still reads what it should.
 */
import type { Clock } from "../domain/clock.ts";
import type { Durations } from "../domain/durations.ts";
import { UnavailableError } from "../domain/errors.ts";
import { applyJobEvent, settleJobEvent, type InterpreterParts } from "./job-interpreter.ts";
import type { DeadlineStore, Log } from "./ports.ts";

/** How often the hosts of open sessions are noted as seen. *Units*: milliseconds. */
const TOUCH_HOSTS_INTERVAL_MS = 60_000;

/** How often the database's clock is asked before a tick gives up. */
const READ_ATTEMPTS = 3;

/** What the loop works with. */
export interface DeadlineLoopParts extends InterpreterParts {
  readonly deadlines: DeadlineStore;
  /** Jobs whose hosts wait for this server to send them blocks. */
  readonly waitingJobs: () => readonly string[];
  readonly clock: Clock;
  readonly durations: Durations;
  readonly log: Log;
}

interface Reading {
  readonly databaseMs: number;
  readonly monotonicMs: number;
}

export class DeadlineLoop implements AsyncDisposable {
  readonly #parts: DeadlineLoopParts;
  #last: Reading | undefined;
  // The first tick notes them: what was noted last may be of long ago.
  #touchedHostsAtMs = Number.NEGATIVE_INFINITY;
  /** When each job that waits for a delivery was given its time. */
  #renewedAtMs: ReadonlyMap<string, number> = new Map();
  #timer: Disposable | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: DeadlineLoopParts) {
    this.#parts = parts;
  }

  /** Gives open jobs the grace of a server's start, then ticks until disposed. */
  async start(): Promise<void> {
    await this.#parts.deadlines.graceDeadlines(this.#parts.durations.deadlineGraceMs);
    this.#last = await this.#read();
    this.#scheduleTick();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  #scheduleTick(): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.clock.schedule(this.#parts.durations.tickIntervalMs, () => {
      this.#running = this.#tickSafely().then(() => this.#scheduleTick());
    });
  }

  async #tickSafely(): Promise<void> {
    try {
      await this.tick();
    } catch (error) {
      this.#parts.log("error", "deadline tick failed", { error: String(error) });
    }
  }

  /** One look at the clock and at what is due. */
  async tick(): Promise<void> {
    const reading = await this.#read();
    const previous = this.#last;
    await this.#keepTimeHonest(reading);
    this.#last = reading;
    await this.#renewWaitingJobs(reading.monotonicMs);
    await this.#failDueJobs(reading);
    if (previous !== undefined) await this.#tellGoneOffline(previous);
    await this.#touch(reading.monotonicMs);
  }

  /** *Throws* UnavailableError when the database answers too slowly to tell the time by it. */
  async #read(): Promise<Reading> {
    const { clock, deadlines, durations } = this.#parts;
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt += 1) {
      const beforeMs = clock.monotonicMs();
      const databaseMs = (await deadlines.readClock()).getTime();
      const tripMs = clock.monotonicMs() - beforeMs;
      // The answer was made somewhere between question and arrival: after a long wait that tells too little, and
      // half of a pause of this process would pass for a jump of the clock.
      if (tripMs <= durations.stallMs / 2) return { databaseMs, monotonicMs: beforeMs + tripMs / 2 };
    }
    throw new UnavailableError("The database answers too slowly to tell the time by it.");
  }

  async #keepTimeHonest(reading: Reading): Promise<void> {
    const { durations, deadlines, log } = this.#parts;
    if (this.#last === undefined) return;
    const elapsedMs = reading.monotonicMs - this.#last.monotonicMs;
    const jumpMs = reading.databaseMs - this.#last.databaseMs - elapsedMs;
    if (Math.abs(jumpMs) > durations.stallMs) {
      log("warn", "the database's clock jumped; open jobs get their full time again", { jump_ms: Math.round(jumpMs) });
      await deadlines.absorbClockJump(jumpMs);
    }
    if (elapsedMs > durations.tickIntervalMs + durations.stallMs) {
      log("warn", "this server stood still; open jobs get grace", { stood_still_ms: Math.round(elapsedMs) });
      await deadlines.graceDeadlines(durations.deadlineGraceMs);
    }
  }

  /** A host that waits because this server is busy makes progress. One that begins to wait is noted at once, then now and then. */
  async #renewWaitingJobs(nowMs: number): Promise<void> {
    const { waitingJobs, deadlines, durations } = this.#parts;
    const waiting = waitingJobs();
    const isDue = (jobId: string): boolean =>
      nowMs - (this.#renewedAtMs.get(jobId) ?? Number.NEGATIVE_INFINITY) >= durations.progressDeadlineMs / 3;
    const due = waiting.filter(isDue);
    if (due.length > 0) await deadlines.renewWaitingJobs(due);
    const renewed = new Set(due);
    this.#renewedAtMs = new Map(
      waiting.map((jobId) => [jobId, renewed.has(jobId) ? nowMs : (this.#renewedAtMs.get(jobId) ?? nowMs)]),
    );
  }

  async #failDueJobs(reading: Reading): Promise<void> {
    const { store, durations, clock } = this.#parts;
    const sinceReadingMs = clock.monotonicMs() - reading.monotonicMs;
    const expectedMs = reading.databaseMs + sinceReadingMs;
    const window = { from: new Date(expectedMs - durations.stallMs), to: new Date(expectedMs + durations.stallMs) };
    const applied = await store.transaction(async (tx) => {
      const due = await tx.claimDueJobs(window);
      const steps = [];
      for (const { job, isMaximumAge } of due) {
        const event = { name: "deadline_passed", maximumAgeReached: isMaximumAge } as const;
        steps.push(await applyJobEvent(tx, job, event, { actor: "rollcall", cause: "the deadline passed" }));
      }
      return steps;
    });
    for (const step of applied) await settleJobEvent(this.#parts, step);
  }

  /** Nothing is written when a host goes offline: its instant passes. Those who watch are told. */
  async #tellGoneOffline(previous: Reading): Promise<void> {
    const hostIds = await this.#parts.deadlines.listGoneOffline(new Date(previous.databaseMs));
    for (const hostId of hostIds) this.#parts.changes.hostChanged(hostId);
    for (const hostId of await this.#parts.deadlines.reviewHosts()) this.#parts.changes.hostChanged(hostId);
  }

  async #touch(nowMs: number): Promise<void> {
    if (nowMs - this.#touchedHostsAtMs < TOUCH_HOSTS_INTERVAL_MS) return;
    this.#touchedHostsAtMs = nowMs;
    await this.#parts.deadlines.touchHosts();
    await this.#parts.deadlines.recordAdoption();
  }
}

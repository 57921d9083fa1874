/**
 * Deletes what has lived long enough, a little at a time: one batch, and a pause, until nothing is left to delete; then
 * it looks again after an hour. One server does so at a time. What it deletes it judges by the database's clock.
 */
import type { Clock } from "../domain/clock.ts";
import type { Lifetimes } from "./lifetimes.ts";
import type { RetentionStore } from "./ports.ts";

/** What the loop works with. */
export interface RetentionLoopParts {
  readonly store: RetentionStore;
  readonly lifetimes: Lifetimes;
  readonly clock: Clock;
  readonly log: (level: "info" | "warn", event: string, fields: Readonly<Record<string, unknown>>) => void;
}

const LOOK_EVERY_MS = 3_600_000;
const PAUSE_MS = 1_000;
const LEASE_MS = 60_000;
const BATCH = 500;

/** Runs from `start` until it is disposed. */
export class RetentionLoop implements AsyncDisposable {
  readonly #parts: RetentionLoopParts;
  #timer: Disposable | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isDisposed = false;

  constructor(parts: RetentionLoopParts) {
    this.#parts = parts;
  }

  /** Looks now, and from now on. */
  start(): void {
    this.#looking = this.#look().then((pauseMs) => {
      if (!this.#isDisposed) this.#timer = this.#parts.clock.schedule(pauseMs, () => this.start());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#looking;
  }

  /** *Units*: milliseconds until the next look. */
  async #look(): Promise<number> {
    const { store, log } = this.#parts;
    try {
      if (!(await store.holdLease(LEASE_MS))) return LOOK_EVERY_MS;
      const deleted = await this.#trim();
      if (Object.values(deleted).some((count) => count > 0)) log("info", "trimmed", deleted);
      return Object.values(deleted).some((count) => count >= BATCH) ? PAUSE_MS : LOOK_EVERY_MS;
    } catch (error) {
      // The next look makes up for it.
      log("warn", "trimming", { error: String(error) });
      return LOOK_EVERY_MS;
    }
  }

  async #trim(): Promise<Readonly<Record<string, number>>> {
    const { store, lifetimes } = this.#parts;
    return {
      jobs: lifetimes.jobs === 0 ? 0 : await store.trimJobs(lifetimes.jobs, BATCH),
      tokens: lifetimes.tokens === 0 ? 0 : await store.trimTokens(lifetimes.tokens, BATCH),
      adoption: lifetimes.adoption === 0 ? 0 : await store.trimAdoption(lifetimes.adoption, BATCH),
      sessions: await store.trimSessions(BATCH),
    };
  }
}

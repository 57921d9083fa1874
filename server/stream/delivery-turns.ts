/**
 * Whose turn it is to be sent blocks: so many hosts at a time, and among them one
 * block after another where bytes a second are limited. Who waits for either does so
 * because this server says so, and its job is not held to its progress meanwhile.
 */
import type { Clock } from "../domain/clock.ts";
import { AdmissionQueue } from "./admission-queue.ts";
import { ByteRate } from "./byte-rate.ts";

/** What deliveries may take of this server. */
export interface DeliveryLimits {
  /** Hosts that are sent blocks at a time. */
  readonly maxConcurrent: number;
  /** Over all hosts, as blocks go on the wire; 0 for no limit. */
  readonly bytesPerSecond: number;
}

export class DeliveryTurns {
  readonly #places: AdmissionQueue;
  readonly #rate: ByteRate | undefined;
  readonly #waits = new Set<{ readonly jobId: string }>();

  constructor(limits: DeliveryLimits, clock: Clock) {
    this.#places = new AdmissionQueue(limits.maxConcurrent);
    this.#rate = limits.bytesPerSecond === 0 ? undefined : new ByteRate(limits.bytesPerSecond, clock);
  }

  /** Hosts that are sent blocks, and hosts that wait for a place. */
  get counts(): { readonly active: number; readonly waiting: number } {
    return { active: this.#places.inside, waiting: this.#places.waiting };
  }

  /** True when who comes now has to wait. */
  get isFull(): boolean {
    return this.#places.isFull;
  }

  /** Jobs whose hosts wait, for a place or for their next block. */
  get waitingJobs(): readonly string[] {
    return [...new Set([...this.#waits].map(({ jobId }) => jobId))];
  }

  /** Waits for a place, which is given up by disposing it. *Throws* the signal's reason. */
  enter(jobId: string, signal: AbortSignal): Promise<Disposable> {
    return this.#noted(jobId, this.#places.enter(jobId, signal));
  }

  /** Waits until a block may be sent; `undefined` when it may be sent now. *Throws* the signal's reason. */
  nextBlock(jobId: string, bytes: number, signal: AbortSignal): Promise<void> | undefined {
    if (this.#rate === undefined || this.#rate.tryTake(bytes)) return undefined;
    return this.#noted(jobId, this.#rate.take(bytes, signal));
  }

  async #noted<Result>(jobId: string, turn: Promise<Result>): Promise<Result> {
    const wait = { jobId };
    this.#waits.add(wait);
    try {
      return await turn;
    } finally {
      this.#waits.delete(wait);
    }
  }
}

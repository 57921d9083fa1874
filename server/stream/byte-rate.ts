import type { Clock } from "../domain/clock.ts";

interface Waiting {
  readonly bytes: number;
  readonly grant: () => void;
}

/** What may be sent at once after a pause, as time at the full rate. *Units*: milliseconds. */
const BURST_MS = 100;

/**
 * Lets so many bytes a second pass. Who waits is served in the order they came: as
 * long as each sender asks for one block at a time, they take turns.
 */
export class ByteRate {
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  /** Below zero once a block exceeded what there was: the next one waits until it is paid back. */
  #bytesLeft: number;
  #filledAtMs: number;
  #timer: Disposable | undefined;

  /** *Units*: bytes a second. */
  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#clock = clock;
    this.#bytesLeft = this.#bytesPerMs * BURST_MS;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes bytes that may be sent now. False when somebody waits or nothing is left. */
  tryTake(bytes: number): boolean {
    if (this.#waiting.size > 0) return false;
    this.#fill();
    if (this.#bytesLeft <= 0) return false;
    this.#bytesLeft -= bytes;
    return true;
  }

  /**
   * Waits until these bytes may be sent.
   *
   * *Throws* the signal's reason.
   */
  take(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const giveUp = (): void => {
        this.#waiting.delete(waiting);
        this.#schedule();
        reject(signal.reason as Error);
      };
      const waiting: Waiting = {
        bytes,
        grant: () => {
          signal.removeEventListener("abort", giveUp);
          resolve();
        },
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(waiting);
      this.#schedule();
    });
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs();
    const earned = (nowMs - this.#filledAtMs) * this.#bytesPerMs;
    this.#bytesLeft = Math.min(this.#bytesPerMs * BURST_MS, this.#bytesLeft + earned);
    this.#filledAtMs = nowMs;
  }

  #serve(): void {
    this.#timer = undefined;
    this.#fill();
    for (const waiting of this.#waiting) {
      if (this.#bytesLeft <= 0) break;
      this.#waiting.delete(waiting);
      this.#bytesLeft -= waiting.bytes;
      waiting.grant();
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#waiting.size === 0) {
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
    } else {
      const delayMs = Math.max(1, Math.ceil(-this.#bytesLeft / this.#bytesPerMs));
      this.#timer ??= this.#clock.schedule(delayMs, () => this.#serve());
    }
  }
}

import type { Clock } from "../../web/src/time/browser-clock.ts";

/** A clock that a test turns. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, callback: () => void): Disposable {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** For whoever wants to see how often others had their turn. */
  turns = 0;

  async nextTask(): Promise<void> {
    this.turns += 1;
  }

  /** Timers that wait. */
  get size(): number {
    return this.#timers.size;
  }

  /** Goes on, and lets what is then due happen. */
  advance(spanMs: number): void {
    this.#nowMs += spanMs;
    const due = [...this.#timers].filter(({ atMs }) => atMs <= this.#nowMs);
    // One may call another off.
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback();
  }
}

import type { Clock } from "../../../server/domain/clock.ts";

interface Timer {
  readonly dueAtMs: number;
  readonly delayMs: number;
  readonly callback: () => void;
}

/** A clock that moves when a test says so. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();
  readonly #watchers = new Set<() => void>();

  now(): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, callback: () => void): Disposable {
    const timer: Timer = { dueAtMs: this.#nowMs + delayMs, delayMs, callback };
    this.#timers.add(timer);
    for (const watcher of this.#watchers) watcher();
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Timers that are set. */
  get size(): number {
    return this.#timers.size;
  }

  /** Resolves once a timer of exactly `delayMs` is set; that is how a test knows that a wait has begun. */
  async scheduled(delayMs: number): Promise<void> {
    const isSet = (): boolean => [...this.#timers].some((timer) => timer.delayMs === delayMs);
    while (!isSet()) await this.#nextTimer();
  }

  /** Moves time and calls what became due, in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = [...this.#timers]
        .filter((timer) => timer.dueAtMs <= untilMs)
        .sort((a, b) => a.dueAtMs - b.dueAtMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  #nextTimer(): Promise<void> {
    return new Promise((resolve) => {
      const watcher = (): void => {
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }
}

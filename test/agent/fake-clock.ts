import type { Clock } from "../../agent/clock.ts";

interface Sleeper {
  readonly wakesAtMs: number;
  readonly delayMs: number;
  readonly wake: () => void;
}

/** Time that moves only when a test says so. */
export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #watchers = new Set<() => void>();

  /** Delays being slept, for leak checks. *Units*: milliseconds. */
  get sleeping(): readonly number[] {
    return [...this.#sleepers].map((sleeper) => sleeper.delayMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const stop = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener("abort", stop);
        this.#sleepers.delete(sleeper);
        resolve();
      };
      const sleeper: Sleeper = { wakesAtMs: this.#nowMs + delayMs, delayMs, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", stop, { once: true });
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** Resolves with the delay once somebody sleeps for one that fits. */
  async untilSleeping(fits: (delayMs: number) => boolean): Promise<number> {
    for (;;) {
      const found = this.sleeping.find(fits);
      if (found !== undefined) return found;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#watchers.add(resolve);
      await promise;
      this.#watchers.delete(resolve);
    }
  }

  /** Moves time on and wakes, in order, whoever it passes. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.wakesAtMs);
      next.wake();
    }
    this.#nowMs = untilMs;
  }

  /** Moves time on as a suspend does: nobody wakes. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  #next(untilMs: number): Sleeper | undefined {
    return [...this.#sleepers]
      .filter((sleeper) => sleeper.wakesAtMs <= untilMs)
      .toSorted((one, other) => one.wakesAtMs - other.wakesAtMs)[0];
  }
}

import type { Clock } from "../domain/clock.ts";

/** Calls back once nothing has moved for `limitMs`. Time in which nothing can move does not count. */
export class StallWatch implements Disposable {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #expire: () => void;
  #movedAtMs: number;
  #isPaused = false;
  #timer: Disposable;

  constructor(clock: Clock, limitMs: number, expire: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#expire = expire;
    this.#movedAtMs = clock.monotonicMs();
    this.#timer = clock.schedule(limitMs, () => this.#look());
  }

  /** Something moved. */
  readonly moved = (): void => {
    this.#movedAtMs = this.#clock.monotonicMs();
  };

  /** Nothing can move until what is waited for has come. */
  async pausedFor<Result>(waited: Promise<Result>): Promise<Result> {
    this.#isPaused = true;
    try {
      return await waited;
    } finally {
      this.#isPaused = false;
      this.moved();
    }
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #look(): void {
    const leftMs = this.#isPaused ? this.#limitMs : this.#movedAtMs + this.#limitMs - this.#clock.monotonicMs();
    if (leftMs <= 0) this.#expire();
    else this.#timer = this.#clock.schedule(leftMs, () => this.#look());
  }
}

import type { Clock } from "./browser-clock.ts";

/**
 * What time it is on the server, for every relative time on the page. One ticker for
 * all of them: `nowMs` moves each second, `coarseNowMs` twice a minute.
 */
export class ServerTime {
  readonly #clock: Clock;
  #offsetMs = 0;
  nowMs: number = $state(0);
  coarseNowMs: number = $state(0);

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs = this.coarseNowMs = clock.nowMs();
  }

  /** Takes over what the server said. */
  set(serverNowMs: number): void {
    const offsetMs = serverNowMs - this.#clock.nowMs();
    // Messages lie in buffers for a while; a small step back says nothing of the clock.
    if (offsetMs < this.#offsetMs && this.#offsetMs - offsetMs < 2_000) return;
    this.#offsetMs = offsetMs;
  }

  /** Exactly now. */
  read(): number {
    return this.#clock.nowMs() + this.#offsetMs;
  }

  /** Starts to tick. Returns the end of it. */
  run(): () => void {
    let timer: Disposable;
    const tick = (): void => {
      this.nowMs = this.read();
      if (Math.abs(this.nowMs - this.coarseNowMs) >= 30_000) this.coarseNowMs = this.nowMs;
      timer = this.#clock.schedule(1000, tick);
    };
    tick();
    return () => timer[Symbol.dispose]();
  }
}

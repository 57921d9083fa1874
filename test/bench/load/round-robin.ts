import type { Clock } from "../../../agent/clock.ts";
import { machineMs } from "../stopwatch-clock.ts";

const STEP_MS = 100;

/** Visits everybody in turn, once in an interval, evenly spread: one timer for all of them. */
export class RoundRobin {
  readonly #clock: Clock;
  #stop = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts anew with these; an interval of 0 visits nobody. */
  start<Visited>(everybody: readonly Visited[], intervalMs: number, visit: (visited: Visited) => void): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    if (intervalMs > 0 && everybody.length > 0)
      void this.#run(everybody, intervalMs, visit, this.#stop.signal).catch(() => undefined);
  }

  async #run<Visited>(
    everybody: readonly Visited[],
    intervalMs: number,
    visit: (visited: Visited) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const startedMs = machineMs();
    let visits = 0;
    for (;;) {
      await this.#clock.sleep(STEP_MS, signal);
      const due = ((machineMs() - startedMs) / intervalMs) * everybody.length;
      for (; visits < due; visits += 1) {
        const next = everybody[visits % everybody.length];
        if (next !== undefined) visit(next);
      }
    }
  }
}

import type { Clock } from "../../server/domain/clock.ts";

/** The machine's own time, for tests with real processes. */
export const realClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

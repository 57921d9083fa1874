import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../../agent/clock.ts";

/** Real time, for tests that run real processes. */
export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  sleep: (delayMs, signal) => sleep(delayMs, undefined, { signal }),
};

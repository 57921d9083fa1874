/** Time and randomness of the running machine: the only file of the agent that asks for them. */
import { randomInt, randomUUID } from "node:crypto";
import { uptime } from "node:os";
import type { Clock, Random } from "./clock.ts";

const RANDOM_STEPS = 2 ** 32;

/**
 * The machine's clock. It counts time asleep too: a stage that was held through
 * a suspend is as old for its agent as it is for its server, which process
 * clocks would not see.
 */
export const systemClock: Clock = {
  monotonicMs: () => uptime() * 1000,
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, delayMs);
      signal?.addEventListener("abort", stop, { once: true });
    }),
};

/** The machine's randomness. */
export const systemRandom: Random = {
  next: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
  uuid: () => randomUUID(),
};

/** Wall time for log lines, in ISO 8601. Nothing is decided by it. */
export function wallTime(): string {
  return new Date().toISOString();
}

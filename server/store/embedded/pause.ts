import type { Clock } from "../../domain/clock.ts";

/**
 * Waits `delayMs` on the given clock.
 *
 * *Throws* the signal's reason when it aborts first.
 */
export async function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  using _timer = clock.schedule(delayMs, resolve);
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Fetches through whatever session is open, again and again, until it has everything or nothing came for too long. */
import type { Clock, Random } from "../clock.ts";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { Delivery, DeliverySource } from "./delivery.ts";
import { DeliveryRefusedError } from "./delivery.ts";
import { oneLine } from "./one-line.ts";
import { UpdateError } from "./update-error.ts";

/** What patience a fetch has. *Units*: milliseconds. */
export interface FetchLimits {
  /** The longest time in which nothing new comes although a server is connected. */
  readonly stalledMs: number;
  /** The greatest pause between two attempts. */
  readonly pauseMs: number;
}

/** The limits in use. */
export const FETCH_LIMITS: FetchLimits = { stalledMs: 60_000, pauseMs: 3_000 };

/** What a fetch works with. */
export interface FetchContext {
  readonly source: DeliverySource;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: FetchLimits;
  /** Ends the fetch; its reason is thrown. */
  readonly signal: AbortSignal;
}

/**
 * Calls `attempt` until it succeeds. `attempt` reports through `advanced` whatever
 * is new, which gives the fetch its full patience again.
 *
 * Time without a session does not count: the server's own deadline judges that, and
 * one that was away gives its jobs time when it comes back.
 *
 * *Throws* UpdateError (download_failed) when nothing new came for `stalledMs` or
 * the server refused; the signal's reason; whatever UpdateError `attempt` throws.
 */
export async function fetchPersistently<T>(
  context: FetchContext,
  attempt: (delivery: Delivery, advanced: () => void, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, limits } = context;
  const stalled = new AbortController();
  const signal = AbortSignal.any([context.signal, stalled.signal]);
  let advancedAtMs = clock.monotonicMs();
  let lastProblem = "the session was lost over and over";
  using _watch = watchForStall(
    clock,
    signal,
    () => advancedAtMs + limits.stalledMs,
    () => stalled.abort(),
  );
  for (;;) {
    try {
      const delivery = context.source();
      if (delivery === undefined) advancedAtMs = clock.monotonicMs();
      else return await attempt(delivery, () => (advancedAtMs = clock.monotonicMs()), signal);
    } catch (error) {
      if (!signal.aborted) {
        if (error instanceof UpdateError) throw error;
        if (error instanceof DeliveryRefusedError) throw failed(error.message, error);
        lastProblem = (error as Error).message;
      }
    }
    await pause(context, signal);
    context.signal.throwIfAborted();
    if (stalled.signal.aborted) throw failed(`nothing new came for ${limits.stalledMs / 1000} s (${lastProblem})`);
  }
}

async function pause(context: FetchContext, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await context.clock.sleep(context.random.next() * context.limits.pauseMs, signal).catch(() => undefined);
}

/** Calls `expire` once the moment that `deadlineMs` names has passed, which may move while it waits. */
function watchForStall(clock: Clock, signal: AbortSignal, deadlineMs: () => number, expire: () => void): Disposable {
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const watch = async (): Promise<void> => {
    for (let leftMs = deadlineMs() - clock.monotonicMs(); leftMs > 0; leftMs = deadlineMs() - clock.monotonicMs()) {
      await clock.sleep(leftMs, until);
    }
    expire();
  };
  watch().catch(() => undefined);
  return { [Symbol.dispose]: () => stop.abort() };
}

function failed(sentence: string, cause?: unknown): UpdateError {
  return new UpdateError(JobReason.DOWNLOAD_FAILED, { detail: oneLine(sentence, 500) }, cause);
}

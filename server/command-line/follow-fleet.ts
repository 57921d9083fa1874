/**
 * Changes of the fleet as they happen. A server that goes away (it is upgraded, say) is
 * asked again where the stream ended; what it says meanwhile is not lost.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchFleetResponse } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Clock } from "../domain/clock.ts";
import { CommandError } from "./command-error.ts";
import { NO_LIMIT, type Server } from "./connect.ts";
import { EXIT } from "./exit-status.ts";
import type { Tool } from "./tool.ts";

/** *Units*: milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
const GIVE_UP_AFTER_MS = 300_000;
/** The server speaks every few seconds; silence for longer means a dead line. */
const SILENCE_MS = 20_000;

/** A change, as in WatchFleetResponse. */
export type Change = WatchFleetResponse["change"];

/**
 * Every change from now on, until whoever asks has seen enough.
 *
 * *Throws* CommandError when it was interrupted; what the server said when it refuses, or stays away for five minutes.
 */
export async function* followFleet(tool: Tool, { fleet, origin }: Server): AsyncGenerator<Change> {
  const { clock, interrupted, terminal } = tool;
  let resumeToken = "";
  let awaySinceMs: number | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    const attempt = new AbortController();
    let watchdog = clock.schedule(SILENCE_MS, () => attempt.abort());
    try {
      const signal = AbortSignal.any([interrupted, attempt.signal]);
      for await (const message of fleet.watchFleet({ resumeToken }, { signal, ...NO_LIMIT })) {
        watchdog[Symbol.dispose]();
        watchdog = clock.schedule(SILENCE_MS, () => attempt.abort());
        if (awaySinceMs !== undefined) terminal.say(`${origin} is back.`);
        awaySinceMs = undefined;
        pauseMs = FIRST_PAUSE_MS;
        ({ resumeToken } = message);
        yield message.change;
      }
    } catch (error) {
      if (interrupted.aborted) throw new CommandError("Interrupted. What runs goes on.", EXIT.interrupted);
      if (isAnswer(error)) throw error;
      const nowMs = clock.monotonicMs();
      if (awaySinceMs === undefined) terminal.say(`${origin} went away; asking again …`);
      awaySinceMs ??= nowMs;
      if (nowMs - awaySinceMs > GIVE_UP_AFTER_MS) throw error;
    } finally {
      watchdog[Symbol.dispose]();
      attempt.abort();
    }
    await pause(clock, pauseMs, interrupted);
    pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs);
  }
}

/** True when another try would end the same way. */
function isAnswer(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unauthenticated || code === Code.PermissionDenied || code === Code.Unimplemented;
}

async function pause(clock: Clock, delayMs: number, interrupted: AbortSignal): Promise<void> {
  if (interrupted.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _timer = clock.schedule(delayMs, resolve);
  interrupted.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

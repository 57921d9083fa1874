/**
 * Keeps one program running the way its systemd unit does: `Restart=always`, the
 * same pause before every start, no start limit. The path is looked up anew at each
 * start, so that a program which replaced its own file comes back as its successor.
 */
import { closeSync, openSync } from "node:fs";
import type { Clock } from "../../agent/clock.ts";
import { spawnGroup, stopGroup, waitForExit, type ChildOrder } from "./process-group.ts";

const STOP_GRACE_MS = 5_000;

/** A program that is started again whenever it ends, until it is disposed. */
export interface Supervised extends AsyncDisposable {
  /** How often it was started so far. */
  readonly starts: number;
}

/** What to keep running, and where its output goes. */
export interface SuperviseOrder extends Omit<ChildOrder, "stdio"> {
  readonly logPath: string;
  /** *Units*: milliseconds from an exit to the next start; systemd's RestartSec. */
  readonly restartDelayMs: number;
}

/** Starts the program and returns at once. */
export function supervise(order: SuperviseOrder, clock: Clock): Supervised {
  const stop = new AbortController();
  let starts = 0;

  async function keepRunning(): Promise<void> {
    while (!stop.signal.aborted) {
      const log = openSync(order.logPath, "a");
      const child = spawnGroup({ ...order, stdio: ["ignore", log, log] });
      closeSync(log);
      starts += 1;
      const end = (): void => void stopGroup(child, clock, STOP_GRACE_MS);
      stop.signal.addEventListener("abort", end, { once: true });
      // A program that can't be started counts as one that ended at once, as it does for systemd.
      await waitForExit(child).catch(() => 127);
      stop.signal.removeEventListener("abort", end);
      await clock.sleep(order.restartDelayMs, stop.signal).catch(() => undefined);
    }
  }

  const ended = keepRunning();
  return {
    get starts() {
      return starts;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

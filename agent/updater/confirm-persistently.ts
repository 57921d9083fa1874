import type { Clock } from "../clock.ts";
import { describeError, type Log } from "../log.ts";
import { systemErrorCode } from "./system-error.ts";
import type { UpdatePlatform } from "./update-platform.ts";

/** What a confirmation works with. */
export interface ConfirmContext {
  readonly platform: UpdatePlatform;
  readonly clock: Clock;
  readonly log: Log;
  /** Between attempts that the disk refused. *Units*: milliseconds. */
  readonly pauseMs: number;
  /** Ends the attempts. */
  readonly signal: AbortSignal;
}

/**
 * Marks the unconfirmed update as good, again and again while the disk refuses.
 *
 * *Shape*: false when the guard decided otherwise first, or when it cannot be marked.
 */
export async function confirmPersistently(jobId: string, context: ConfirmContext): Promise<boolean> {
  const { platform, clock, log, pauseMs, signal } = context;
  while (!signal.aborted) {
    try {
      const isConfirmed = await platform.confirm(jobId);
      const [level, event] = isConfirmed
        ? (["info", "update_confirmed"] as const)
        : (["warn", "update_not_confirmed"] as const);
      log[level](event, { job_id: jobId });
      return isConfirmed;
    } catch (error) {
      log.error("confirm_failed", { job_id: jobId, cause: describeError(error) });
      // Only what the disk said may be otherwise the next time.
      if (systemErrorCode(error) === undefined) return false;
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }
  return false;
}

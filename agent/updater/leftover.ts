/**
 * What an attempt leaves on the disk saves the next one a download, unless it is
 * known to be of no use or nobody wants one any more. It is removed ten minutes
 * after the last attempt, or after the start of a process that made none.
 */
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { Clock } from "../clock.ts";
import { describeError, type Log } from "../log.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePlatform } from "./update-platform.ts";

/** The server called the job off. */
export class CancelledError extends Error {
  constructor() {
    super("cancelled");
    this.name = "CancelledError";
  }
}

/** Ends after which the next attempt may want the same bytes. A disk without room is not one of them. */
const INTERRUPTIONS: ReadonlySet<JobReason> = new Set([
  JobReason.DOWNLOAD_FAILED,
  JobReason.DIGEST_MISMATCH,
  JobReason.COMMIT_EXPIRED,
]);

/** Whether what an attempt left is worth its space, given what ended it. */
export function isWorthLeaving(end: unknown): boolean {
  return end instanceof UpdateError ? INTERRUPTIONS.has(end.reason) : !(end instanceof CancelledError);
}

/** Ends work on a stage and leaves it, or deletes it and what an earlier one left. Never throws. */
export async function endStage(
  { platform, log }: { readonly platform: Pick<UpdatePlatform, "leave" | "discard">; readonly log: Log },
  isWorthIt: boolean,
): Promise<void> {
  try {
    await (isWorthIt ? platform.leave() : platform.discard());
  } catch (error) {
    // The next attempt removes it; nothing runs it meanwhile.
    log.warn("discard_failed", { cause: describeError(error) });
  }
}

/** Says when what an attempt left has waited long enough for the next one. */
export class LeftoverTimer implements Disposable {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #expire: () => void;
  #waiting = new AbortController();
  #isStopped = false;

  constructor(clock: Clock, delayMs: number, expire: () => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#expire = expire;
    this.restart();
  }

  restart(): void {
    this.#waiting.abort();
    if (this.#isStopped) return;
    this.#waiting = new AbortController();
    this.#clock.sleep(this.#delayMs, this.#waiting.signal).then(this.#expire, () => undefined);
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#waiting.abort();
  }
}

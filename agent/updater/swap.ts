/**
 * Puts the new binary in the place of the old one.
 *
 *     link binary → .old.tmp, rename .old.tmp → .old, fsync folder    predecessor kept
 *     remove earlier verdicts and log, journal `unconfirmed`          what happens now is known after any crash
 *     rename .new → binary, fsync folder                              done
 *
 * Both renames replace a whole file by a whole file, so a runnable binary stands
 * at the path throughout (on Windows but for an instant: windows-platform.ts). The journal comes after `.old` (a guard that trusts it
 * must find the predecessor there) and before the last rename (a binary that
 * crashes at once must find itself unconfirmed).
 *
 * If anything fails the old binary stands at the path and the journal says so.
 */
import { access, lstat, rename } from "node:fs/promises";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { removeIfPresent, syncFolder } from "./durable-file.ts";
import { removeJobLog } from "./job-log.ts";
import { readJournal, writeJournal, type Journal } from "./journal.ts";
import { journalReasonWords } from "./journal-reasons.ts";
import { printablePath } from "./one-line.ts";
import { linkOrCopy } from "./second-name.ts";
import { hasErrorCode, systemErrorCode } from "./system-error.ts";
import type { SystemRules } from "./system-rules.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";
import { removeVerdicts } from "./verdict.ts";

/** Returns once the new binary stands at the path, durably. Throws UpdateError (swap_failed, commit_expired). */
export async function swapBinary(
  paths: UpdatePaths,
  entry: Journal,
  rules: Pick<SystemRules, "replaceBinary">,
  isStillAllowed: () => boolean,
): Promise<void> {
  if (!isStillAllowed()) throw commitExpired();
  try {
    await refuseUnconfirmedPredecessor(paths, entry);
  } catch (cause) {
    throw cause instanceof UpdateError ? cause : swapFailed(paths, cause);
  }
  try {
    await keepPredecessor(paths);
    await removeVerdicts(paths);
    await removeJobLog(paths);
    await writeJournal(paths, entry);
    if (!isStillAllowed()) throw commitExpired();
    await rules.replaceBinary(paths);
    await syncFolder(paths.folder);
  } catch (cause) {
    throw await undoSwap(paths, entry, cause instanceof UpdateError ? cause : swapFailed(paths, cause));
  }
}

/** Its `.old` is what the guard would restore, so it may not be replaced yet. */
async function refuseUnconfirmedPredecessor(paths: UpdatePaths, entry: Journal): Promise<void> {
  const last = await readJournal(paths);
  if (last?.state !== "unconfirmed" || last.toSha256 !== entry.fromSha256) return;
  throw new UpdateError(JobReason.SWAP_FAILED, {
    path: printablePath(paths.binary),
    detail: `the update to ${last.toVersion} before this one is not confirmed yet`,
  });
}

async function keepPredecessor(paths: UpdatePaths): Promise<void> {
  // Between two names of one file rename(2) does nothing and leaves both.
  if (!(await isSameFile(paths.binary, paths.old))) {
    await linkOrCopy(paths.binary, paths.oldTemporary);
    await rename(paths.oldTemporary, paths.old);
  }
  await syncFolder(paths.folder);
}

/** *Shape*: the error to throw, with what could not be undone added to it. */
async function undoSwap(paths: UpdatePaths, entry: Journal, failure: UpdateError): Promise<UpdateError> {
  try {
    if (await isReplaced(paths)) await putPredecessorBack(paths);
  } catch (cause) {
    // The journal stays unconfirmed, which is what the new binary now is.
    const detail = `${failure.message}; ${entry.toVersion} is in place and starts next`;
    return new UpdateError(failure.reason, { ...failure.details, detail: detail.slice(0, 500) }, cause);
  }
  const reason = journalReasonWords(failure.reason);
  // Without this line the next start finds the old binary and an unconfirmed journal, and comes to the same end.
  await writeJournal(paths, { ...entry, state: "failed", reason }).catch(() => undefined);
  await removeIfPresent(paths.staged).catch(() => undefined);
  return failure;
}

async function putPredecessorBack(paths: UpdatePaths): Promise<void> {
  await linkOrCopy(paths.old, paths.oldTemporary);
  await rename(paths.oldTemporary, paths.binary);
  await syncFolder(paths.folder);
}

async function isSameFile(first: string, second: string): Promise<boolean> {
  try {
    const [one, other] = [await lstat(first, { bigint: true }), await lstat(second, { bigint: true })];
    return one.dev === other.dev && one.ino === other.ino;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** A rename that reports a failure may have happened all the same. */
async function isReplaced(paths: UpdatePaths): Promise<boolean> {
  try {
    await access(paths.staged);
    return false;
  } catch (error) {
    if (!hasErrorCode(error, "ENOENT")) throw error;
  }
  return !(await isSameFile(paths.binary, paths.old));
}

function commitExpired(): UpdateError {
  return new UpdateError(JobReason.COMMIT_EXPIRED, {
    detail: "the commit came too late or was withdrawn; nothing was replaced",
  });
}

/** What stood in the way of the swap, in the words of the server. */
export function swapFailed(paths: UpdatePaths, cause: unknown): UpdateError {
  const errorCode = systemErrorCode(cause);
  const path = printablePath(paths.binary);
  return new UpdateError(
    JobReason.SWAP_FAILED,
    { path, errorCode, detail: `${path} could not be replaced (${errorCode ?? String(cause)})`.slice(0, 500) },
    cause,
  );
}

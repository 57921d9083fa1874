/**
 * The guard of an agent on Windows: puts the version before back when the new one does
 * not come to life. It is the version before, run from `.old` by `update.cmd`, so it
 * needs nothing of the new one.
 *
 *     look      before each start of the agent: carries out what was decided, else sets a watch
 *     stopped   after the agent ended badly: the third crash of a version decides
 *     watch     beside a version that is not confirmed yet: 45 s decide
 *
 * It acts only while the journal says `unconfirmed`, and decides only while the binary is
 * the journal's `to` and `.old` its `from`. What it decides it links as the verdict, which
 * fails once the agent has confirmed. Only `look` touches the binary: `update.cmd` runs it
 * while no agent runs, one at a time. Killed anywhere, the next look goes on from the verdict.
 *
 * Times are those of this process, which no clock moves; a machine that is started anew
 * gives the new version its time again.
 */
import { rename } from "node:fs/promises";
import type { Clock } from "../clock.ts";
import { describeError, type Log } from "../log.ts";
import { removeIfPresent, syncFolder } from "../updater/durable-file.ts";
import { noteInJobLog } from "../updater/job-log.ts";
import type { Journal } from "../updater/journal.ts";
import { linkOrCopy } from "../updater/second-name.ts";
import type { UpdatePaths } from "../updater/update-paths.ts";
import { decideRestored, readVerdict } from "../updater/verdict.ts";
import { countCrash } from "./crash-record.ts";
import { canPutBack, readSha256, readUnconfirmed } from "./unconfirmed.ts";

/** What the guard works with. */
export interface GuardParts {
  readonly paths: UpdatePaths;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the version before, which this process is, reaches a server. */
  readonly reachesServer: () => Promise<boolean>;
  /** The same, asked of the new version. */
  readonly newReachesServer: () => Promise<boolean>;
  /** Starts a `watch` that outlives this process. */
  readonly startWatch: () => void;
  /** Ends the agent; `update.cmd` goes on from there. */
  readonly endAgent: () => Promise<void>;
}

const CRASHES = 3;
const LOOK_EVERY_MS = 2_000;
const PATIENCE_MS = 45_000;
const NEXT_QUESTION_MS = 30_000;
const SECOND_LOOK_MS = 10_000;

/** Puts the version before back if that was decided, and sets a watch on what is not decided. No agent may run meanwhile. */
export async function look({ paths, log, startWatch }: GuardParts): Promise<void> {
  const journal = await readUnconfirmed(paths);
  if (journal === undefined) {
    for (const leftover of [paths.guardRecord, `${paths.guardRecord}.tmp`, paths.guardVerdict, paths.restored])
      await removeIfPresent(leftover);
    return;
  }
  const verdict = await readVerdict(paths, journal.jobId);
  if (verdict === undefined) startWatch();
  if (verdict?.decision !== "restored" || !(await canPutBack(paths, journal))) return;
  try {
    await putBack(paths, journal);
  } catch (error) {
    // The new version starts once more. The watch ends it at once, and then comes the next look.
    log.error("guard_refused", { ...facts(journal), cause: describeError(error) });
    startWatch();
    return;
  }
  log.warn("guard_put_back", { ...facts(journal), reason: verdict.reason });
}

async function putBack(paths: UpdatePaths, journal: Journal): Promise<void> {
  await linkOrCopy(paths.old, paths.restored);
  if ((await readSha256(paths.restored)) !== journal.fromSha256) throw new Error(`${paths.old} changed meanwhile`);
  await rename(paths.restored, paths.binary);
  await syncFolder(paths.folder);
}

/** Counts a crash of a version that is not confirmed yet. */
export async function stopped(parts: GuardParts): Promise<void> {
  const { paths, log } = parts;
  const journal = await readUnconfirmed(paths);
  // Decided already: then it was the guard that ended it.
  if (journal === undefined || (await readVerdict(paths, journal.jobId)) !== undefined) return;
  const crashes = await countCrash(paths, journal.jobId);
  log.warn("guard_counted_crash", { ...facts(journal), crashes });
  if (crashes <= CRASHES) await noteInJobLog(paths, `${journal.toVersion} ended (${crashes} of ${CRASHES})`);
  if (crashes >= CRASHES) await decide(parts, journal, "crashed");
}

/** Resolves once the update that is under way has ended, or is about to be put back. */
export async function watch(parts: GuardParts): Promise<void> {
  const { paths, clock, log, reachesServer, newReachesServer, endAgent } = parts;
  const journal = await readUnconfirmed(paths);
  let patientUntilMs = clock.monotonicMs() + PATIENCE_MS;
  let wasReached = true;
  while (journal !== undefined && (await isUndecided(paths, journal))) {
    if (clock.monotonicMs() < patientUntilMs) {
      await clock.sleep(LOOK_EVERY_MS);
    } else if (!(await reachesServer())) {
      if (wasReached) log.info("guard_server_unreachable", facts(journal));
      wasReached = false;
      patientUntilMs = clock.monotonicMs() + NEXT_QUESTION_MS;
    } else if (!wasReached) {
      wasReached = true;
      patientUntilMs = clock.monotonicMs() + PATIENCE_MS;
    } else {
      const [isReached] = await Promise.all([newReachesServer(), clock.sleep(SECOND_LOOK_MS)]);
      const reason = isReached ? "not_confirmed" : "server_unreachable";
      await noteInJobLog(paths, `${journal.toVersion} is not confirmed after ${PATIENCE_MS / 1000} s (${reason})`);
      if (!(await decide(parts, journal, reason))) return;
    }
  }
  // Whoever decided, the new version may still run; once the one before stands there again, that is what runs.
  if (journal === undefined || (await readVerdict(paths, journal.jobId))?.decision !== "restored") return;
  if (await canPutBack(paths, journal)) await endAgent();
}

async function isUndecided(paths: UpdatePaths, { jobId }: Journal): Promise<boolean> {
  return (await readUnconfirmed(paths))?.jobId === jobId && (await readVerdict(paths, jobId)) === undefined;
}

/** False when there is nothing that could be put back. The agent's confirmation wins if it came first. */
async function decide({ paths, log }: GuardParts, journal: Journal, reason: string): Promise<boolean> {
  if ((await readUnconfirmed(paths))?.jobId !== journal.jobId || !(await canPutBack(paths, journal))) {
    log.error("guard_gave_up", { ...facts(journal), cause: "these are not the files that the journal names" });
    return false;
  }
  const { decision } = await decideRestored(paths, journal.jobId, reason);
  log.warn("guard_decided", { ...facts(journal), decision, reason });
  return true;
}

function facts({ jobId, fromVersion, toVersion }: Journal) {
  return { job_id: jobId, from_version: fromVersion, to_version: toVersion };
}

/**
 * Who ends an unconfirmed update: the agent that confirms it, or the guard that
 * restores the predecessor. Each writes its verdict to a file of its own and
 * links that to `verdict`; link(2) fails when the name exists, so exactly one
 * wins. Only the winner changes the journal. The loser does nothing.
 *
 * A winner may be killed before it wrote the journal; then the verdict says what
 * the journal should. It names its job, for it outlives it: it is removed only
 * when the next update's journal is about to be written.
 */
import { link } from "node:fs/promises";
import { readShortFile, removeIfPresent, syncFolder, writeNewFile } from "./durable-file.ts";
import { NO_REASON } from "./journal.ts";
import { hasErrorCode } from "./system-error.ts";
import type { UpdatePaths } from "./update-paths.ts";

/** What was decided about one update. */
export interface Verdict {
  readonly decision: "confirmed" | "restored";
  readonly jobId: string;
  /** One word; NO_REASON when confirmed. */
  readonly reason: string;
}

const MAX_VERDICT_BYTES = 1024;
const VERDICT_PATTERN =
  /^decision (confirmed|restored)\njob ([0-9A-Za-z.+_-]{1,128})\nreason ([0-9A-Za-z.+_-]{1,128})\nend\n$/;

/** Decides that this job's update is good, unless the guard decided otherwise first. *Shape*: the verdict that stands. */
export async function decideConfirmed(paths: UpdatePaths, jobId: string): Promise<Verdict> {
  const mine: Verdict = { decision: "confirmed", jobId, reason: NO_REASON };
  await writeNewFile(paths.verdictTemporary, formatVerdict(mine));
  const standing = await linkVerdict(paths, mine);
  await removeIfPresent(paths.verdictTemporary);
  await syncFolder(paths.stateDir);
  return standing;
}

/** The verdict about this job. *Shape*: `undefined` when none was reached. */
export async function readVerdict(paths: UpdatePaths, jobId: string): Promise<Verdict | undefined> {
  const [, decision, job = "", reason = ""] =
    VERDICT_PATTERN.exec((await readShortFile(paths.verdict, MAX_VERDICT_BYTES)) ?? "") ?? [];
  if (job !== jobId || (decision !== "confirmed" && decision !== "restored")) return undefined;
  return { decision, jobId, reason };
}

/** Forgets the verdict about an earlier update. */
export async function removeVerdict(paths: UpdatePaths): Promise<void> {
  await removeIfPresent(paths.verdict);
}

async function linkVerdict(paths: UpdatePaths, mine: Verdict): Promise<Verdict> {
  try {
    await link(paths.verdictTemporary, paths.verdict);
    return mine;
  } catch (error) {
    if (!hasErrorCode(error, "EEXIST")) throw error;
  }
  const standing = await readVerdict(paths, mine.jobId);
  if (standing !== undefined) return standing;
  // About another job: a guard that stalled through a whole update left it, and nobody acts on it.
  await removeIfPresent(paths.verdict);
  await link(paths.verdictTemporary, paths.verdict);
  return mine;
}

function formatVerdict(verdict: Verdict): string {
  return `decision ${verdict.decision}\njob ${verdict.jobId}\nreason ${verdict.reason}\nend\n`;
}

/**
 * Who ends an unconfirmed update: the agent that confirms it, or the guard that
 * restores the predecessor. Each writes its verdict to a file of its own and
 * links that to `verdict-JOB`; link(2) fails when the name exists, so exactly one
 * wins. Only the winner changes the journal. The loser does nothing.
 *
 * A winner may be killed before it wrote the journal; then the verdict says what
 * the journal should. It outlives its job: it is removed only when the next
 * update's journal is about to be written. A name for each job, so that what a
 * guard that stalled through a whole update leaves is in nobody's way: had the next
 * verdict to take its place, whoever cleared it away could clear away the winner's.
 */
import { link, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
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

const PREFIX = "verdict-";
const MAX_VERDICT_BYTES = 1024;
const VERDICT_PATTERN =
  /^decision (confirmed|restored)\njob ([0-9A-Za-z.+_-]{1,128})\nreason ([0-9A-Za-z.+_-]{1,128})\nend\n$/;

/** Where the verdict about this job stands. */
export function verdictPath({ stateDir }: UpdatePaths, jobId: string): string {
  return join(stateDir, `${PREFIX}${jobId}`);
}

/** Decides that this job's update is good, unless the guard decided otherwise first. *Shape*: the verdict that stands. */
export async function decideConfirmed(paths: UpdatePaths, jobId: string): Promise<Verdict> {
  return await decide(paths, paths.verdictTemporary, { decision: "confirmed", jobId, reason: NO_REASON });
}

/** Decides that the predecessor comes back, unless the agent confirmed first. *Shape*: the verdict that stands. */
export async function decideRestored(paths: UpdatePaths, jobId: string, reason: string): Promise<Verdict> {
  return await decide(paths, paths.guardVerdict, { decision: "restored", jobId, reason });
}

async function decide(paths: UpdatePaths, ownPath: string, mine: Verdict): Promise<Verdict> {
  await writeNewFile(ownPath, formatVerdict(mine));
  const standing = await linkVerdict(paths, ownPath, mine);
  await removeIfPresent(ownPath);
  await syncFolder(paths.stateDir);
  return standing;
}

/** The verdict about this job. *Shape*: `undefined` when none was reached. */
export async function readVerdict(paths: UpdatePaths, jobId: string): Promise<Verdict | undefined> {
  const [, decision, job = "", reason = ""] =
    VERDICT_PATTERN.exec((await readShortFile(verdictPath(paths, jobId), MAX_VERDICT_BYTES)) ?? "") ?? [];
  if (job !== jobId || (decision !== "confirmed" && decision !== "restored")) return undefined;
  return { decision, jobId, reason };
}

/** Forgets the verdicts about earlier updates. */
export async function removeVerdicts(paths: UpdatePaths): Promise<void> {
  for (const name of await readdir(paths.stateDir))
    if (name.startsWith(PREFIX)) await removeIfPresent(join(paths.stateDir, name));
}

async function linkVerdict(paths: UpdatePaths, ownPath: string, mine: Verdict): Promise<Verdict> {
  const path = verdictPath(paths, mine.jobId);
  try {
    await link(ownPath, path);
    return mine;
  } catch (error) {
    if (!hasErrorCode(error, "EEXIST")) throw error;
  }
  const standing = await readVerdict(paths, mine.jobId);
  if (standing !== undefined) return standing;
  // Neither's: a verdict is whole before it gets its name.
  await rename(ownPath, path);
  return mine;
}

function formatVerdict(verdict: Verdict): string {
  return `decision ${verdict.decision}\njob ${verdict.jobId}\nreason ${verdict.reason}\nend\n`;
}

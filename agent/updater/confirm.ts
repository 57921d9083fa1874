import { readJournal, writeJournal } from "./journal.ts";
import type { UpdatePaths } from "./update-paths.ts";
import { decideConfirmed } from "./verdict.ts";

/**
 * Ends the unconfirmed update of this job as good. *Shape*: false when the guard decided otherwise first.
 *
 * *Throws* Error when the journal is not about this job.
 */
export async function confirmUpdate(paths: UpdatePaths, jobId: string): Promise<boolean> {
  const journal = await readJournal(paths);
  if (journal?.jobId !== jobId) throw new Error(`the journal is not about job ${jobId}: it cannot be confirmed`);
  if (journal.state !== "unconfirmed") return journal.state === "confirmed";
  const verdict = await decideConfirmed(paths, jobId);
  if (verdict.decision === "restored") return false;
  await writeJournal(paths, { ...journal, state: "confirmed" });
  return true;
}

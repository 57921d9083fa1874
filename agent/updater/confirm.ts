import { readJournal, writeJournal } from "./journal.ts";
import type { TrustStore } from "./trust-store.ts";
import type { UpdatePaths } from "./update-paths.ts";
import { decideConfirmed } from "./verdict.ts";

/**
 * Ends the unconfirmed update of this job as good, and lets nothing older than it come after it.
 *
 * *Shape*: false when the guard decided otherwise first.
 *
 * *Throws* Error when the journal is not about this job; what the disk said, and then it may be called again.
 */
export async function confirmUpdate(paths: UpdatePaths, trust: TrustStore, jobId: string): Promise<boolean> {
  const journal = await readJournal(paths);
  if (journal?.jobId !== jobId) throw new Error(`the journal is not about job ${jobId}: it cannot be confirmed`);
  if (journal.state === "unconfirmed") {
    const verdict = await decideConfirmed(paths, jobId);
    if (verdict.decision === "restored") return false;
    await writeJournal(paths, { ...journal, state: "confirmed" });
  } else if (journal.state !== "confirmed") return false;
  // After the journal: until then the guard may go back to what is below the new floor.
  await trust.raiseFloor(jobId, journal.sequence);
  return true;
}

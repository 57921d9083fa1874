/**
 * Reads, at start, what the last update on this host came to, and tidies.
 *
 * | journal | binary at the path | verdict | outcome |
 * |---|---|---|---|
 * | none, torn | any | any | none |
 * | unconfirmed | is `to` | none | unconfirmed: wait for a Welcome |
 * | unconfirmed | is `to` | restored | unconfirmed: the guard is about to put `.old` back |
 * | unconfirmed | is `to` | confirmed | succeeded; the journal is brought up to date |
 * | unconfirmed | is `from` | restored | rolled back; the journal is brought up to date |
 * | unconfirmed | is `from` | none | failed (agent_restarted): the swap never took place |
 * | unconfirmed | is neither | any | failed (wrong_version): somebody else put it there |
 * | confirmed, rolled_back, failed | any | any | as it says |
 *
 * A process that says it is the version updated to, and not the one before, is `to`:
 * it need not read its whole file to know, and the server waits for its Hello.
 * Else the file's sha256 tells.
 *
 * A confirmed update whose sequence was not counted yet is counted now.
 *
 * A disk that takes no writes does not keep an agent from starting: what could
 * not be tidied or written down is found again at the next start.
 */
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { removeIfPresent } from "./durable-file.ts";
import { digestFile } from "./file-digest.ts";
import { readJobLog, removeJobLog } from "./job-log.ts";
import { NO_REASON, readJournal, writeJournal, type Journal } from "./journal.ts";
import { readJournalReason } from "./journal-reasons.ts";
import { printablePath } from "./one-line.ts";
import { systemErrorCode } from "./system-error.ts";
import type { TrustStore } from "./trust-store.ts";
import type { FailureDetails } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";
import type { Settlement } from "./update-platform.ts";
import { readVerdict } from "./verdict.ts";

/** Called once, before anything else touches the files of an update. */
export async function settleUpdate(paths: UpdatePaths, trust: TrustStore, ownVersion: string): Promise<Settlement> {
  const found = await readJournal(paths);
  const journal = found?.state === "unconfirmed" ? await resolveUnconfirmed(paths, found, ownVersion) : found;
  if (journal !== undefined && journal !== found) await unlessRefused(writeJournal(paths, journal));
  if (journal?.state === "confirmed") {
    await unlessRefused(trust.raiseFloor(journal.jobId, journal.sequence));
    await unlessRefused(removeJobLog(paths));
  }
  // What stands at `staged` may save the next attempt a download: only the runner knows whether one comes.
  for (const leftover of [paths.oldTemporary, paths.journalTemporary, paths.verdictTemporary, paths.trustTemporary]) {
    await unlessRefused(removeIfPresent(leftover));
  }
  return journal === undefined ? { kind: "none" } : describe(paths, journal, ownVersion);
}

/** *Shape*: the journal as it should be; the same object when it already is. */
async function resolveUnconfirmed(paths: UpdatePaths, journal: Journal, ownVersion: string): Promise<Journal> {
  const { fromVersion, toVersion, fromSha256, toSha256 } = journal;
  const isNew = ownVersion === toVersion && ownVersion !== fromVersion;
  const sha256 = isNew ? toSha256 : (await digestFile(paths.binary)).sha256;
  const verdict = await readVerdict(paths, journal.jobId);
  if (sha256 === toSha256) return verdict?.decision === "confirmed" ? { ...journal, state: "confirmed" } : journal;
  if (sha256 !== fromSha256) return { ...journal, state: "failed", reason: "wrong_version" };
  if (verdict?.decision === "restored") return { ...journal, state: "rolled_back", reason: verdict.reason };
  return { ...journal, state: "failed", reason: "agent_restarted" };
}

async function describe(paths: UpdatePaths, journal: Journal, ownVersion: string): Promise<Settlement> {
  const { jobId, toVersion } = journal;
  switch (journal.state) {
    case "unconfirmed":
      return { kind: "unconfirmed", jobId, toVersion };
    case "confirmed":
      return { kind: "ended", jobId, outcome: "succeeded", reason: JobReason.UNSPECIFIED, details: {} };
    case "rolled_back":
      return {
        kind: "ended",
        jobId,
        outcome: "rolledBack",
        reason: readJournalReason(journal.reason),
        details: describeFacts(paths, journal, ownVersion),
        log: await readJobLog(paths),
      };
    case "failed":
      return {
        kind: "ended",
        jobId,
        outcome: "failed",
        reason: readJournalReason(journal.reason),
        details: describeFacts(paths, journal, ownVersion),
      };
  }
}

const SENTENCES: Readonly<Record<string, string>> = {
  agent_restarted: "the agent was restarted before it replaced its binary",
  commit_expired: "the commit came too late or was withdrawn; nothing was replaced",
  swap_failed: "the binary could not be replaced",
  wrong_version: "neither the old nor the new version stands at the path",
  crashed: "the new version crashed three times and was rolled back",
  not_confirmed: "the new version was not confirmed within 45 s and was rolled back",
  server_unreachable: "the new version did not reach the server, the old one did; it was rolled back",
};

function describeFacts(paths: UpdatePaths, journal: Journal, ownVersion: string): FailureDetails {
  const detail = SENTENCES[journal.reason] ?? (journal.reason === NO_REASON ? undefined : journal.reason);
  return { path: printablePath(paths.binary), expectedVersion: journal.toVersion, actualVersion: ownVersion, detail };
}

async function unlessRefused(writing: Promise<unknown>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
  }
}

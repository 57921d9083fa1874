import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { NO_REASON } from "./journal.ts";

/** The words that the agent and the guard write into a journal, and what they mean to the server. */
const REASONS: Readonly<Record<string, JobReason>> = {
  agent_restarted: JobReason.AGENT_RESTARTED,
  commit_expired: JobReason.COMMIT_EXPIRED,
  swap_failed: JobReason.SWAP_FAILED,
  wrong_version: JobReason.WRONG_VERSION,
  crashed: JobReason.CRASHED,
  not_confirmed: JobReason.NOT_CONFIRMED,
  // The guard asked the old binary, which did reach the server: the new one was at fault.
  server_unreachable: JobReason.NOT_CONFIRMED,
};

/** What a journal's word means; a word of a later guard means nothing here. */
export function readJournalReason(word: string): JobReason {
  return REASONS[word] ?? JobReason.UNSPECIFIED;
}

/** The word for a reason. */
export function journalReasonWords(reason: JobReason): string {
  return Object.entries(REASONS).find(([, meaning]) => meaning === reason)?.[0] ?? NO_REASON;
}

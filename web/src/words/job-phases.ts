/** The steps of one update, and how far it is. */
import { JobState, type Job } from "../../../gen/rollcall/v1/model_pb.js";
import { jobWord } from "../../../gen/words/job-words.ts";
import { formatBytes, percentOf } from "../../../gen/words/quantities.ts";
import { formatClock, toMs } from "../../../gen/words/times.ts";

/** One step. */
export interface Phase {
  readonly word: string;
  readonly state: "done" | "active" | "failed" | "rolledBack" | "cancelled" | "pending";
  /** When it was, or how far it is; empty when there is nothing to say. */
  readonly note: string;
  /** How much of the way to the next step is done. *Units*: percent. */
  readonly percent: number | undefined;
}

const STEPS = [
  JobState.DISPATCHED,
  JobState.DOWNLOADING,
  JobState.STAGED,
  JobState.RESTARTING,
  JobState.SUCCEEDED,
] as const;

const ENDS: Partial<Record<JobState, Phase["state"]>> = {
  [JobState.FAILED]: "failed",
  [JobState.ROLLED_BACK]: "rolledBack",
  [JobState.CANCELLED]: "cancelled",
};

/** The steps of a job, in order. */
export function phasesOf(job: Job): readonly Phase[] {
  const end = ENDS[job.state];
  const reached = STEPS.indexOf((end === undefined ? job.state : lastStateOf(job)) as (typeof STEPS)[number]);
  return STEPS.map((step, index) => {
    const state = stateOf(index, reached, end, job.state);
    const percent =
      step === JobState.DOWNLOADING && state === "active" ? percentOf(job.bytesDone, job.bytesTotal) : undefined;
    return { word: jobWord(step).word, state, note: noteOf(job, step, state), percent };
  });
}

/** How far a job was when it ended badly. */
function lastStateOf(job: Job): JobState {
  if (job.state === JobState.ROLLED_BACK || job.committedAt !== undefined) return JobState.RESTARTING;
  return job.details?.lastState || JobState.DISPATCHED;
}

function stateOf(index: number, reached: number, end: Phase["state"] | undefined, job: JobState): Phase["state"] {
  if (index < reached) return "done";
  if (index > reached) return "pending";
  return end ?? (job === JobState.SUCCEEDED ? "done" : "active");
}

function noteOf(job: Job, step: JobState, state: Phase["state"]): string {
  if (state === "pending") return "";
  if (step === JobState.DOWNLOADING && (state === "active" || state === "failed")) {
    const percent = percentOf(job.bytesDone, job.bytesTotal);
    if (percent === undefined) return "";
    return `${percent} %, ${formatBytes(job.bytesDone)} of ${formatBytes(job.bytesTotal)}`;
  }
  const instants: Partial<Record<JobState, number | undefined>> = {
    [JobState.DISPATCHED]: toMs(job.createdAt),
    [JobState.RESTARTING]: toMs(job.committedAt),
    [JobState.SUCCEEDED]: toMs(job.endedAt),
  };
  const at = instants[step];
  return at === undefined ? "" : formatClock(at);
}

/** Updates one host as an outside client would and watches until its job ended. */
import { JobReason, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { stopwatchMs } from "../bench/stopwatch-clock.ts";
import type { FleetClient } from "./fleet-client.ts";
import type { FleetView, FleetWatch } from "./fleet-watch.ts";

/** When the client saw a job in a state first. */
export interface Milestone {
  readonly state: JobState;
  /** *Units*: milliseconds since the call. */
  readonly atMs: number;
}

/** How an update went, and how long it took from the call to the end that a client sees. */
export interface UpdateResult {
  readonly job: Job;
  readonly succeeded: boolean;
  /** *Units*: milliseconds. */
  readonly elapsedMs: number;
  /** In the order they were seen. */
  readonly milestones: readonly Milestone[];
}

const ENDED: ReadonlySet<JobState> = new Set([
  JobState.SUCCEEDED,
  JobState.FAILED,
  JobState.ROLLED_BACK,
  JobState.CANCELLED,
]);

/** *Throws* ConnectError when the server refuses the update. */
export async function updateHost(
  fleet: FleetClient,
  watch: FleetWatch,
  hostId: string,
  signal: AbortSignal,
): Promise<UpdateResult> {
  const startedMs = stopwatchMs();
  const { job } = await fleet.updateHost({ hostId }, { signal });
  if (job === undefined) throw new Error("UpdateHost answered without a job");
  const milestones: Milestone[] = [];
  const ended = await watch.until((view) => {
    const state = view.jobs.get(job.id)?.state;
    if (state !== undefined && state !== milestones.at(-1)?.state) {
      milestones.push({ state, atMs: stopwatchMs() - startedMs });
    }
    return findEndedJob(view, job.id);
  }, signal);
  const elapsedMs = stopwatchMs() - startedMs;
  return { job: ended, succeeded: ended.state === JobState.SUCCEEDED, elapsedMs, milestones };
}

/** The milestones in a few words, such as `downloading 0.10, staged 1.20`. */
export function describeMilestones(milestones: readonly Milestone[]): string {
  return milestones.map(({ state, atMs }) => `${JobState[state].toLowerCase()} ${(atMs / 1000).toFixed(2)}`).join(", ");
}

/** How a job ended, in a few words. */
export function describeJob(job: Job): string {
  const state = JobState[job.state].toLowerCase().replace("_", " ");
  if (job.reason === JobReason.UNSPECIFIED) return state;
  const detail = job.details?.detail;
  return `${state} (${JobReason[job.reason].toLowerCase()}${detail ? `: ${detail}` : ""})`;
}

/** The job once it has ended. */
export function findEndedJob(view: FleetView, jobId: string): Job | undefined {
  const job = view.jobs.get(jobId);
  return job !== undefined && ENDED.has(job.state) ? job : undefined;
}

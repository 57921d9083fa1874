/** Updates one host as an outside client would and watches until its job ended. */
import { JobReason, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { stopwatchMs } from "../bench/stopwatch-clock.ts";
import type { FleetClient } from "./fleet-client.ts";
import type { FleetView, FleetWatch } from "./fleet-watch.ts";

/** How an update went, and how long it took from the call to the end that a client sees. */
export interface UpdateResult {
  readonly job: Job;
  readonly succeeded: boolean;
  /** *Units*: milliseconds. */
  readonly elapsedMs: number;
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
  const ended = await watch.until((view) => findEndedJob(view, job.id), signal);
  return { job: ended, succeeded: ended.state === JobState.SUCCEEDED, elapsedMs: stopwatchMs() - startedMs };
}

/** How a job ended, in a few words. */
export function describeJob(job: Job): string {
  const state = JobState[job.state].toLowerCase().replace("_", " ");
  if (job.reason === JobReason.UNSPECIFIED) return state;
  const detail = job.details?.detail;
  return `${state} (${JobReason[job.reason].toLowerCase()}${detail ? `: ${detail}` : ""})`;
}

function findEndedJob(view: FleetView, jobId: string): Job | undefined {
  const job = view.jobs.get(jobId);
  return job !== undefined && ENDED.has(job.state) ? job : undefined;
}

/**
 * What a Hello does to the host's job. The order of the questions is the rule:
 * the version on the host is the truth, then what the host itself says became of
 * this job, then whether the same process still works on it.
 */
import type { JobDetails, JobReason, RollbackReason } from "./job-reason.ts";
import type { JobEvent, JobStateName } from "./job-state.ts";

/** The job as far as a Hello concerns it. */
export interface GreetedJob {
  readonly id: string;
  readonly stateName: JobStateName;
  readonly fromVersion: string;
  readonly toVersion: string;
}

/** How the host says its last update ended. */
export type ReportedOutcome =
  | { readonly kind: "succeeded" }
  | { readonly kind: "failed"; readonly reason: JobReason; readonly details: JobDetails }
  | { readonly kind: "rolled_back"; readonly reason: RollbackReason; readonly details: JobDetails };

/** What a Hello says about updates. */
export interface HelloReport {
  readonly agentVersion: string;
  readonly activeJob?: { readonly jobId: string; readonly phase: "downloading" | "staged" | "restarting" };
  readonly lastUpdate?: { readonly jobId: string; readonly outcome: ReportedOutcome };
}

/**
 * The event that a Hello means for an open job.
 *
 * *Shape*: `undefined` when the job goes on as it stands.
 */
export function meetOpenJob(job: GreetedJob, report: HelloReport): JobEvent | undefined {
  if (report.agentVersion === job.toVersion) return { name: "returned_at_target" };
  const outcome = report.lastUpdate?.jobId === job.id ? report.lastUpdate.outcome : undefined;
  if (outcome?.kind === "failed") return { name: "agent_failed", reason: outcome.reason, details: outcome.details };
  if (outcome?.kind === "rolled_back") {
    return { name: "returned_rolled_back", reason: outcome.reason, details: outcome.details };
  }
  if (report.activeJob?.jobId === job.id) return meetActiveJob(report.activeJob.phase);
  if (report.agentVersion === job.fromVersion) return { name: "returned_idle" };
  return { name: "returned_wrong_version", expectedVersion: job.toVersion, actualVersion: report.agentVersion };
}

/** A download goes on by itself and tells its bytes next; a stage may have missed its commit. */
function meetActiveJob(phase: "downloading" | "staged" | "restarting"): JobEvent | undefined {
  return phase === "staged" ? { name: "staged" } : undefined;
}

/** The truer outcome that a Hello may bring to a job that failed because its host was silent. */
export function meetLostJob(job: GreetedJob, report: HelloReport): JobEvent | undefined {
  const outcome = report.lastUpdate?.jobId === job.id ? report.lastUpdate.outcome : undefined;
  if (outcome?.kind !== "rolled_back") return undefined;
  return { name: "returned_rolled_back", reason: outcome.reason, details: outcome.details };
}

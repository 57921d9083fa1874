/**
 * The states of an update job, what moves it between them, and the one table of
 * which move is legal.
 *
 * A job is *open* in dispatched, downloading, staged and restarting. The commit is
 * the line between "can be called off" and "is watched to its end": it is recorded
 * as `restarting` before it is sent. A closed job never opens again; the one truer
 * outcome that may still arrive is a rollback after `agent_lost`.
 */
import type { JobDetails, JobReason, RollbackReason } from "./job-reason.ts";

/** Where an open or closed job stands, with only the facts that hold there. */
export type JobState =
  | { readonly name: "dispatched" }
  | { readonly name: "downloading"; readonly bytesDone: number; readonly bytesTotal: number }
  | { readonly name: "staged" }
  | { readonly name: "restarting" }
  | { readonly name: "succeeded" }
  | { readonly name: "failed"; readonly reason: JobReason; readonly details: JobDetails }
  | { readonly name: "rolled_back"; readonly reason: RollbackReason; readonly details: JobDetails }
  | { readonly name: "cancelled" };

export type JobStateName = JobState["name"];

/** What can happen to a job. `returned_*` are what a Hello says of it. */
export type JobEvent =
  | { readonly name: "progressed"; readonly bytesDone: number; readonly bytesTotal: number }
  | { readonly name: "staged" }
  | { readonly name: "committed" }
  | { readonly name: "agent_failed"; readonly reason: JobReason; readonly details: JobDetails }
  | { readonly name: "deadline_passed"; readonly maximumAgeReached: boolean }
  | { readonly name: "cancelled" }
  | { readonly name: "returned_at_target" }
  | { readonly name: "returned_rolled_back"; readonly reason: RollbackReason; readonly details: JobDetails }
  | { readonly name: "returned_idle" }
  | { readonly name: "returned_wrong_version"; readonly expectedVersion: string; readonly actualVersion: string };

export type JobEventName = JobEvent["name"];

type Transitions = Readonly<Record<JobStateName, Readonly<Partial<Record<JobEventName, JobStateName>>>>>;

/** State × event → next state. What is not in it is illegal. */
export const JOB_TRANSITIONS = {
  dispatched: {
    progressed: "downloading",
    staged: "staged",
    agent_failed: "failed",
    deadline_passed: "failed",
    cancelled: "cancelled",
    returned_at_target: "succeeded",
    returned_rolled_back: "rolled_back",
    returned_idle: "dispatched",
    returned_wrong_version: "failed",
  },
  downloading: {
    progressed: "downloading",
    staged: "staged",
    agent_failed: "failed",
    deadline_passed: "failed",
    cancelled: "cancelled",
    returned_at_target: "succeeded",
    returned_rolled_back: "rolled_back",
    returned_idle: "downloading",
    returned_wrong_version: "failed",
  },
  staged: {
    progressed: "staged",
    staged: "staged",
    committed: "restarting",
    agent_failed: "failed",
    deadline_passed: "failed",
    cancelled: "cancelled",
    returned_at_target: "succeeded",
    returned_rolled_back: "rolled_back",
    returned_idle: "failed",
    returned_wrong_version: "failed",
  },
  restarting: {
    progressed: "restarting",
    staged: "restarting",
    agent_failed: "failed",
    deadline_passed: "failed",
    returned_at_target: "succeeded",
    returned_rolled_back: "rolled_back",
    returned_idle: "failed",
    returned_wrong_version: "failed",
  },
  succeeded: {},
  // Only from failed(agent_lost), and only once.
  failed: { returned_rolled_back: "rolled_back" },
  rolled_back: {},
  cancelled: {},
} as const satisfies Transitions;

/** The states in which a job is still under way. */
export const OPEN_JOB_STATES = ["dispatched", "downloading", "staged", "restarting"] as const satisfies JobStateName[];

/** True while the job is under way. */
export function isOpen(state: JobStateName): boolean {
  return (OPEN_JOB_STATES as readonly JobStateName[]).includes(state);
}

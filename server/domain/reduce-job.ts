/**
 * The pure core of an update job: one event applied to one state. Effects are
 * data; whoever stored the new state runs them afterwards.
 */
import { IllegalTransitionError } from "./errors.ts";
import {
  isOpen,
  JOB_TRANSITIONS,
  type JobEvent,
  type JobEventName,
  type JobState,
  type JobStateName,
} from "./job-state.ts";

/** What is to be done once the new state is stored. Each may be lost: a later Hello or the deadline makes up for it. */
export type JobEffect =
  | { readonly kind: "send_command" }
  /** Record the commit (a `committed` event of its own), which then sends it. */
  | { readonly kind: "grant_commit" }
  | { readonly kind: "send_commit" }
  | { readonly kind: "send_cancel" };

/** The result of one event. */
export interface JobStep {
  readonly state: JobState;
  readonly effects: readonly JobEffect[];
  /** True when the event is progress: the job gets its full time again. */
  readonly isProgress: boolean;
}

/** True when the table holds this pair. */
export function isLegal(state: JobStateName, event: JobEventName): boolean {
  const row: Readonly<Partial<Record<JobEventName, JobStateName>>> = JOB_TRANSITIONS[state];
  return row[event] !== undefined;
}

/**
 * Applies one event.
 *
 * *Throws* IllegalTransitionError for a pair that the table does not hold.
 */
export function reduceJob(state: JobState, event: JobEvent): JobStep {
  if (!isLegal(state.name, event.name)) throw new IllegalTransitionError(state.name, event.name);
  switch (event.name) {
    case "progressed":
      return progress(state, event.bytesDone, event.bytesTotal);
    case "staged":
      return stage(state);
    case "committed":
      return step({ name: "restarting" }, [{ kind: "send_commit" }], true);
    case "agent_failed":
      return step({ name: "failed", reason: event.reason, details: { ...event.details, lastState: state.name } });
    case "deadline_passed":
      return expire(state, event.maximumAgeReached);
    case "cancelled":
      return step({ name: "cancelled" }, [{ kind: "send_cancel" }]);
    case "returned_at_target":
      return step({ name: "succeeded" });
    case "returned_rolled_back":
      return rollBack(state, event);
    case "returned_idle":
      return returnIdle(state);
    case "returned_wrong_version":
      return step({
        name: "failed",
        reason: "wrong_version",
        details: {
          expectedVersion: event.expectedVersion,
          actualVersion: event.actualVersion,
          lastState: state.name,
        },
      });
  }
}

function step(state: JobState, effects: readonly JobEffect[] = [], isProgress = false): JobStep {
  return { state, effects, isProgress };
}

/** Only a byte count above the highest so far is progress; a later phase outranks any byte count. */
function progress(state: JobState, bytesDone: number, bytesTotal: number): JobStep {
  if (state.name === "dispatched") return step({ name: "downloading", bytesDone, bytesTotal }, [], true);
  if (state.name !== "downloading" || bytesDone <= state.bytesDone) return step(state);
  return step({ name: "downloading", bytesDone, bytesTotal }, [], true);
}

/**
 * A host that says `staged` again has reconnected and may have missed the commit. One
 * that is sent again starts the life of the stage anew, so the job gets its full time
 * too: else it could end while that stage may still be swapped in (commit-model.test.ts).
 */
function stage(state: JobState): JobStep {
  if (state.name === "restarting") return step(state, [{ kind: "send_commit" }], true);
  return step({ name: "staged" }, [{ kind: "grant_commit" }], state.name !== "staged");
}

function expire(state: JobState, maximumAgeReached: boolean): JobStep {
  const isCommitted = state.name === "restarting";
  const details = { lastState: state.name, ...(maximumAgeReached ? { maximumAgeReached } : {}) };
  return step(
    { name: "failed", reason: isCommitted ? "agent_lost" : "no_progress", details },
    isCommitted ? [] : [{ kind: "send_cancel" }],
  );
}

function rollBack(state: JobState, event: JobEvent & { name: "returned_rolled_back" }): JobStep {
  if (state.name === "failed" && state.reason !== "agent_lost") {
    throw new IllegalTransitionError(`failed(${state.reason})`, event.name);
  }
  return step({ name: "rolled_back", reason: event.reason, details: event.details });
}

/** The process that worked on the job is gone. Before the stage it simply starts again; after it, the stage is gone too. */
function returnIdle(state: JobState): JobStep {
  if (state.name === "dispatched" || state.name === "downloading") return step(state, [{ kind: "send_command" }]);
  return step({ name: "failed", reason: "agent_restarted", details: { lastState: state.name } });
}

/** The audit action that tells of a step, or `undefined` when it ended nothing. */
export function auditActionOf(state: JobState): JobAuditAction | undefined {
  if (isOpen(state.name)) return undefined;
  return `host.update_${state.name as "succeeded" | "failed" | "rolled_back" | "cancelled"}`;
}

export type JobAuditAction =
  | "host.update_succeeded"
  | "host.update_failed"
  | "host.update_rolled_back"
  | "host.update_cancelled";

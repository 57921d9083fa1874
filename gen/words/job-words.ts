/** States of jobs and fleet updates: each one's shape and word. */
import { JobState } from "../rollcall/v1/model_pb.js";
import { FleetUpdateHostState, FleetUpdateState } from "../rollcall/v1/rollout_pb.js";
import type { StateWord } from "./shapes.ts";

const JOB_WORDS: Readonly<Record<JobState, StateWord>> = {
  [JobState.UNSPECIFIED]: { shape: "pending", word: "Unknown" },
  [JobState.DISPATCHED]: { shape: "progress", word: "Dispatched" },
  [JobState.DOWNLOADING]: { shape: "progress", word: "Downloading" },
  [JobState.STAGED]: { shape: "progress", word: "Staged" },
  [JobState.RESTARTING]: { shape: "progress", word: "Restarting" },
  [JobState.SUCCEEDED]: { shape: "current", word: "Succeeded" },
  [JobState.FAILED]: { shape: "failed", word: "Failed" },
  [JobState.ROLLED_BACK]: { shape: "rolledBack", word: "Rolled back" },
  [JobState.CANCELLED]: { shape: "cancelled", word: "Cancelled" },
};

/** A job's state. */
export function jobWord(state: JobState): StateWord {
  return JOB_WORDS[state];
}

const OPEN: readonly JobState[] = [JobState.DISPATCHED, JobState.DOWNLOADING, JobState.STAGED, JobState.RESTARTING];

/** True while a job may still change its host. */
export function isOpen(state: JobState): boolean {
  return OPEN.includes(state);
}

/** True for a job that ended badly. */
export function isFailure(state: JobState): boolean {
  return state === JobState.FAILED || state === JobState.ROLLED_BACK;
}

const FLEET_WORDS: Readonly<Record<FleetUpdateState, StateWord>> = {
  [FleetUpdateState.UNSPECIFIED]: { shape: "pending", word: "Unknown" },
  [FleetUpdateState.RUNNING]: { shape: "progress", word: "Running" },
  [FleetUpdateState.COMPLETED]: { shape: "current", word: "Completed" },
  [FleetUpdateState.HALTED]: { shape: "failed", word: "Halted" },
  [FleetUpdateState.CANCELLED]: { shape: "cancelled", word: "Cancelled" },
};

/** A fleet update's state. */
export function fleetUpdateWord(state: FleetUpdateState): StateWord {
  return FLEET_WORDS[state];
}

const MEMBER_WORDS: Readonly<Record<FleetUpdateHostState, StateWord>> = {
  [FleetUpdateHostState.UNSPECIFIED]: { shape: "pending", word: "Unknown" },
  [FleetUpdateHostState.PENDING]: { shape: "pending", word: "Pending" },
  [FleetUpdateHostState.UPDATING]: { shape: "progress", word: "Updating" },
  [FleetUpdateHostState.SUCCEEDED]: { shape: "current", word: "Succeeded" },
  [FleetUpdateHostState.FAILED]: { shape: "failed", word: "Failed" },
  [FleetUpdateHostState.SKIPPED]: { shape: "skipped", word: "Skipped" },
  [FleetUpdateHostState.CANCELLED]: { shape: "cancelled", word: "Cancelled" },
};

/** A host's state in a fleet update; one that is still pending once that ended was not touched. */
export function memberWord(state: FleetUpdateHostState, update: FleetUpdateState): StateWord {
  if (state === FleetUpdateHostState.PENDING && update !== FleetUpdateState.RUNNING)
    return { shape: "pending", word: "Not touched" };
  return MEMBER_WORDS[state];
}

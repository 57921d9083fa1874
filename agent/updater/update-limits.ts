import { FETCH_LIMITS, type FetchLimits } from "./fetch-release.ts";

/** The time limits of an update. *Units*: milliseconds. */
export interface UpdateLimits {
  /** How long a stage is held for its commit. */
  readonly commitWindowMs: number;
  /** The least time between two reports of bytes. */
  readonly progressIntervalMs: number;
  /** How long what an attempt left on the disk waits for the next one. */
  readonly leftoverMs: number;
  /** Between attempts to confirm an update that the disk refused. */
  readonly confirmPauseMs: number;
  readonly fetch: FetchLimits;
}

/** The limits in use. */
export const UPDATE_LIMITS: UpdateLimits = {
  commitWindowMs: 60_000,
  progressIntervalMs: 250,
  leftoverMs: 600_000,
  confirmPauseMs: 1_000,
  fetch: FETCH_LIMITS,
};

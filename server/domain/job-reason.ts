/** Why an update failed. */
export const JOB_REASONS = [
  "no_progress",
  "agent_lost",
  "agent_restarted",
  "commit_expired",
  "preflight_read_only",
  "preflight_no_space",
  "preflight_not_executable",
  "preflight_wrong_platform",
  "download_failed",
  "digest_mismatch",
  "signature_invalid",
  "downgrade_refused",
  "key_unknown",
  "key_revoked",
  "keys_invalid",
  "keys_outdated",
  "probe_failed",
  "swap_failed",
  "wrong_version",
  "host_replaced",
] as const;

export type JobReason = (typeof JOB_REASONS)[number];

/** Why a host went back to the version it came from. */
export const ROLLBACK_REASONS = ["crashed", "not_confirmed"] as const;

export type RollbackReason = (typeof ROLLBACK_REASONS)[number];

/**
 * The facts behind a reason, never prose alone. Only those it speaks of are set.
 *
 * *Units*: sizes in bytes; digests in lower-case hex.
 */
export interface JobDetails {
  readonly path?: string;
  readonly bytesFree?: number;
  readonly bytesNeeded?: number;
  readonly platform?: string;
  readonly artifactPlatform?: string;
  readonly expectedVersion?: string;
  readonly actualVersion?: string;
  readonly expectedSha256?: string;
  readonly actualSha256?: string;
  readonly errorCode?: string;
  readonly exitStatus?: number;
  readonly detail?: string;
  readonly lastState?: string;
  readonly maximumAgeReached?: boolean;
}

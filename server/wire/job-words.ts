/** The words of jobs, from the wire to the domain and back. */
import { create } from "@bufbuild/protobuf";
import { LastUpdate_Outcome, UpdatePhase, type Hello, type LastUpdate } from "../../gen/rollcall/v1/agent_pb.js";
import {
  JobDetailsSchema,
  JobReason as WireReason,
  JobState as WireState,
  type JobDetails as WireDetails,
} from "../../gen/rollcall/v1/model_pb.js";
import {
  JOB_REASONS,
  ROLLBACK_REASONS,
  type JobDetails,
  type JobReason,
  type RollbackReason,
} from "../domain/job-reason.ts";
import type { JobStateName } from "../domain/job-state.ts";
import type { HelloReport, ReportedOutcome } from "../domain/meet-hello.ts";

const STATES: Readonly<Record<JobStateName, WireState>> = {
  dispatched: WireState.DISPATCHED,
  downloading: WireState.DOWNLOADING,
  staged: WireState.STAGED,
  restarting: WireState.RESTARTING,
  succeeded: WireState.SUCCEEDED,
  failed: WireState.FAILED,
  rolled_back: WireState.ROLLED_BACK,
  cancelled: WireState.CANCELLED,
};

const REASONS: Readonly<Record<JobReason | RollbackReason, WireReason>> = {
  no_progress: WireReason.NO_PROGRESS,
  agent_lost: WireReason.AGENT_LOST,
  agent_restarted: WireReason.AGENT_RESTARTED,
  commit_expired: WireReason.COMMIT_EXPIRED,
  preflight_read_only: WireReason.PREFLIGHT_READ_ONLY,
  preflight_no_space: WireReason.PREFLIGHT_NO_SPACE,
  preflight_not_executable: WireReason.PREFLIGHT_NOT_EXECUTABLE,
  preflight_wrong_platform: WireReason.PREFLIGHT_WRONG_PLATFORM,
  download_failed: WireReason.DOWNLOAD_FAILED,
  digest_mismatch: WireReason.DIGEST_MISMATCH,
  signature_invalid: WireReason.SIGNATURE_INVALID,
  downgrade_refused: WireReason.DOWNGRADE_REFUSED,
  key_unknown: WireReason.KEY_UNKNOWN,
  key_revoked: WireReason.KEY_REVOKED,
  keys_invalid: WireReason.KEYS_INVALID,
  keys_outdated: WireReason.KEYS_OUTDATED,
  probe_failed: WireReason.PROBE_FAILED,
  swap_failed: WireReason.SWAP_FAILED,
  wrong_version: WireReason.WRONG_VERSION,
  host_replaced: WireReason.HOST_REPLACED,
  crashed: WireReason.CRASHED,
  not_confirmed: WireReason.NOT_CONFIRMED,
};

/** The state as it goes on the wire. */
export function toWireState(state: JobStateName): WireState {
  return STATES[state];
}

/** The reason as it goes on the wire; unspecified for a job that has none. */
export function toWireReason(reason: string | null): WireReason {
  return REASONS[reason as JobReason] ?? WireReason.UNSPECIFIED;
}

/** The details as they go on the wire. */
export function toWireDetails(details: JobDetails): WireDetails {
  const { bytesFree, bytesNeeded, lastState, ...same } = details;
  return create(JobDetailsSchema, {
    ...same,
    bytesFree: BigInt(bytesFree ?? 0),
    bytesNeeded: BigInt(bytesNeeded ?? 0),
    lastState: lastState === undefined ? WireState.UNSPECIFIED : STATES[lastState as JobStateName],
  });
}

/** A failure's reason as the agent named it. A reason that only the server gives counts as a plain download failure. */
export function fromWireReason(reason: WireReason): JobReason {
  return JOB_REASONS.find((word) => REASONS[word] === reason) ?? "download_failed";
}

/** The details as the agent gave them, without what is not set. */
export function fromWireDetails(details: WireDetails | undefined): JobDetails {
  if (details === undefined) return {};
  const { $typeName: _, bytesFree, bytesNeeded, lastState: _state, maximumAgeReached: _age, ...texts } = details;
  const set = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== "" && value !== undefined));
  return {
    ...set,
    ...(bytesFree > 0n || bytesNeeded > 0n ? { bytesFree: Number(bytesFree), bytesNeeded: Number(bytesNeeded) } : {}),
  };
}

/** What a Hello says about updates, in the domain's words. */
export function toHelloReport(hello: Hello): HelloReport {
  const phase = hello.activeJob === undefined ? undefined : ACTIVE_PHASES.get(hello.activeJob.phase);
  const outcome = hello.lastUpdate === undefined ? undefined : toOutcome(hello.lastUpdate);
  return {
    agentVersion: hello.agentVersion,
    ...(phase === undefined ? {} : { activeJob: { jobId: hello.activeJob?.jobId ?? "", phase } }),
    ...(outcome === undefined ? {} : { lastUpdate: { jobId: hello.lastUpdate?.jobId ?? "", outcome } }),
  };
}

const ACTIVE_PHASES = new Map<UpdatePhase, "downloading" | "staged" | "restarting">([
  [UpdatePhase.DOWNLOADING, "downloading"],
  [UpdatePhase.STAGED, "staged"],
  [UpdatePhase.RESTARTING, "restarting"],
]);

function toOutcome(last: LastUpdate): ReportedOutcome | undefined {
  const details = fromWireDetails(last.details);
  switch (last.outcome) {
    case LastUpdate_Outcome.SUCCEEDED:
      return { kind: "succeeded" };
    case LastUpdate_Outcome.FAILED:
      return { kind: "failed", reason: fromWireReason(last.reason), details };
    case LastUpdate_Outcome.ROLLED_BACK:
      return {
        kind: "rolled_back",
        reason: ROLLBACK_REASONS.find((word) => REASONS[word] === last.reason) ?? "not_confirmed",
        details,
      };
    default:
      return undefined;
  }
}

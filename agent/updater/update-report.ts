/** Puts what became of an update into the words of the wire. */
import { create } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  LastUpdate_Outcome,
  LastUpdateSchema,
  UpdatePhase,
  UpdateProgressSchema,
  type LastUpdate,
  type UpdateProgress,
} from "../../gen/rollcall/v1/agent_pb.js";
import { JobDetailsSchema, JobReason, type JobDetails } from "../../gen/rollcall/v1/model_pb.js";
import { TrustError, type TrustProblem } from "../../gen/release-trust.ts";
import { findViolation } from "../../gen/rules.ts";
import { oneLine } from "./one-line.ts";
import { systemErrorCode } from "./system-error.ts";
import { UpdateError, type FailureDetails } from "./update-error.ts";
import type { Settlement } from "./update-platform.ts";

/** A failure with a name; what has none gets `fallback` and the error's own sentence. */
export function toUpdateError(error: unknown, fallback: JobReason): UpdateError {
  if (error instanceof UpdateError) return error;
  const detail = oneLine(error instanceof Error ? error.message : String(error), 500);
  if (error instanceof TrustError) return new UpdateError(TRUST_REASONS[error.problem], { detail }, error);
  return new UpdateError(fallback, { errorCode: systemErrorCode(error), detail }, error);
}

/** Details that keep to the rules of the wire. A value that would break one is left out: one bad fact must not cost the reason. */
function toJobDetails(details: FailureDetails): JobDetails {
  const message = create(JobDetailsSchema, details);
  message.detail = oneLine(message.detail, 500);
  for (
    let bad = findViolation(JobDetailsSchema, message);
    bad !== undefined;
    bad = findViolation(JobDetailsSchema, message)
  ) {
    const name = bad.field;
    const field = JobDetailsSchema.fields.find((candidate) => candidate.jsonName === name);
    if (field === undefined) return create(JobDetailsSchema);
    reflect(JobDetailsSchema, message).clear(field);
  }
  return message;
}

/** The report of a failure. */
export function failedProgress(jobId: string, error: UpdateError): UpdateProgress {
  return create(UpdateProgressSchema, {
    jobId,
    phase: UpdatePhase.FAILED,
    reason: error.reason,
    details: toJobDetails(error.details),
  });
}

/** The same failure, as later Hellos tell it. */
export function failedLastUpdate(jobId: string, error: UpdateError): LastUpdate {
  return create(LastUpdateSchema, {
    jobId,
    outcome: LastUpdate_Outcome.FAILED,
    reason: error.reason,
    details: toJobDetails(error.details),
  });
}

/** An update that reached its version. */
export function succeededLastUpdate(jobId: string): LastUpdate {
  return create(LastUpdateSchema, { jobId, outcome: LastUpdate_Outcome.SUCCEEDED });
}

/** What this process found of an update that an earlier one began. */
export function settledLastUpdate(settlement: Settlement): LastUpdate | undefined {
  if (settlement.kind !== "ended") return undefined;
  return create(LastUpdateSchema, {
    jobId: settlement.jobId,
    outcome: OUTCOMES[settlement.outcome],
    reason: settlement.reason,
    details: toJobDetails(settlement.details),
    log: settlement.log ?? new Uint8Array(),
  });
}

const TRUST_REASONS: Readonly<Record<TrustProblem, JobReason>> = {
  keys_invalid: JobReason.KEYS_INVALID,
  signature_invalid: JobReason.SIGNATURE_INVALID,
  key_unknown: JobReason.KEY_UNKNOWN,
  key_revoked: JobReason.KEY_REVOKED,
};

const OUTCOMES = {
  succeeded: LastUpdate_Outcome.SUCCEEDED,
  failed: LastUpdate_Outcome.FAILED,
  rolledBack: LastUpdate_Outcome.ROLLED_BACK,
} as const;

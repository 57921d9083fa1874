import type { MessageInitShape } from "@bufbuild/protobuf";
import type { JobDetailsSchema, JobReason } from "../../gen/rollcall/v1/model_pb.js";

/** The facts behind a failure, as they go on the wire. */
export type FailureDetails = Omit<MessageInitShape<typeof JobDetailsSchema>, "$typeName">;

/** An update ended on this host for a reason that the server knows by name. The old binary still stands. */
export class UpdateError extends Error {
  readonly reason: JobReason;
  readonly details: FailureDetails;

  constructor(reason: JobReason, details: FailureDetails, cause?: unknown) {
    super(details.detail ?? `update failed (${reason})`, { cause });
    this.name = "UpdateError";
    this.reason = reason;
    this.details = details;
  }
}

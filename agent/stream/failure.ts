/** Reads why a call failed: its status, and the server's typed refusal where there is one. */
import { fromBinary } from "@bufbuild/protobuf";
import { type Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { Refusal_Reason, RefusalSchema, type Refusal } from "../../gen/rollcall/v1/model_pb.js";
import { oneLine } from "../updater/one-line.ts";

/** The trailer that carries a serialized Refusal. */
const REFUSAL_TRAILER = "rollcall-refusal-bin";

/** How a call ended. */
export interface CallFailure {
  readonly code: status;
  /** The status' name, such as `UNAVAILABLE`. */
  readonly codeName: string;
  /** One line. */
  readonly details: string;
  readonly refusal: Refusal | undefined;
}

/** Puts an error of grpc-js, or any other, into one shape. */
export function describeFailure(error: unknown): CallFailure {
  const { code, details, metadata, message } = error as Partial<ServiceError>;
  const known = typeof code === "number" && status[code] !== undefined ? code : status.UNKNOWN;
  return {
    code: known,
    codeName: status[known],
    details: oneLine(details ?? message ?? String(error), 500),
    refusal: metadata === undefined ? undefined : readRefusal(metadata),
  };
}

/** A failure in words for a log or a terminal. */
export function failureText(failure: CallFailure): string {
  const reason = failure.refusal === undefined ? undefined : Refusal_Reason[failure.refusal.reason];
  return `${failure.codeName}${reason === undefined ? "" : ` (${reason.toLowerCase()})`}: ${failure.details}`;
}

/** True when the server understood who this is and will not have it: trying again soon is no use. */
export function isTurnedAway(failure: CallFailure): boolean {
  if (failure.refusal !== undefined) return TURNING_AWAY.has(failure.refusal.reason);
  return TURNED_AWAY.has(failure.code);
}

const TURNING_AWAY: ReadonlySet<Refusal_Reason> = new Set([
  Refusal_Reason.CREDENTIAL_INVALID,
  Refusal_Reason.HOST_UNKNOWN,
  Refusal_Reason.IDENTITY_DUPLICATED,
  Refusal_Reason.PROTOCOL_TOO_OLD,
  Refusal_Reason.FOREIGN_JOB,
]);

const TURNED_AWAY: ReadonlySet<status> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.INVALID_ARGUMENT,
  status.UNIMPLEMENTED,
]);

function readRefusal(metadata: Metadata): Refusal | undefined {
  const [bytes] = metadata.get(REFUSAL_TRAILER);
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return fromBinary(RefusalSchema, bytes);
  } catch {
    // A trailer of a newer server is worth less than the status that came with it.
    return undefined;
  }
}

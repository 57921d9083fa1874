import { create } from "@bufbuild/protobuf";
import {
  InvalidFieldSchema,
  Refusal_Reason,
  RefusalSchema,
  type InvalidField,
  type Refusal,
} from "../../gen/rollcall/v1/model_pb.js";
import type { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { RefusalReason } from "../domain/refusal.ts";

const REASONS: Readonly<Record<RefusalReason, Refusal_Reason>> = {
  host_unknown: Refusal_Reason.HOST_UNKNOWN,
  host_offline: Refusal_Reason.HOST_OFFLINE,
  already_at_target: Refusal_Reason.ALREADY_AT_TARGET,
  update_running: Refusal_Reason.UPDATE_RUNNING,
  no_artifact: Refusal_Reason.NO_ARTIFACT,
  quarantined: Refusal_Reason.QUARANTINED,
  identity_duplicated: Refusal_Reason.IDENTITY_DUPLICATED,
  no_target: Refusal_Reason.NO_TARGET,
  release_unknown: Refusal_Reason.RELEASE_UNKNOWN,
  job_unknown: Refusal_Reason.JOB_UNKNOWN,
  job_ended: Refusal_Reason.JOB_ENDED,
  job_committed: Refusal_Reason.JOB_COMMITTED,
  protocol_too_old: Refusal_Reason.PROTOCOL_TOO_OLD,
  token_invalid: Refusal_Reason.TOKEN_INVALID,
  credential_invalid: Refusal_Reason.CREDENTIAL_INVALID,
  hello_missing: Refusal_Reason.HELLO_MISSING,
  too_many_connections: Refusal_Reason.TOO_MANY_CONNECTIONS,
  draining: Refusal_Reason.DRAINING,
  foreign_job: Refusal_Reason.FOREIGN_JOB,
  not_in_job: Refusal_Reason.NOT_IN_JOB,
  fleet_update_running: Refusal_Reason.FLEET_UPDATE_RUNNING,
  fleet_update_unknown: Refusal_Reason.FLEET_UPDATE_UNKNOWN,
  fleet_update_ended: Refusal_Reason.FLEET_UPDATE_ENDED,
  no_hosts: Refusal_Reason.NO_HOSTS,
  alert_unknown: Refusal_Reason.ALERT_UNKNOWN,
  token_unknown: Refusal_Reason.TOKEN_UNKNOWN,
  release_invalid: Refusal_Reason.RELEASE_INVALID,
  release_known: Refusal_Reason.RELEASE_KNOWN,
  release_in_use: Refusal_Reason.RELEASE_IN_USE,
  below_sequence_floor: Refusal_Reason.BELOW_SEQUENCE_FLOOR,
  artifact_unknown: Refusal_Reason.ARTIFACT_UNKNOWN,
  needs_reinstall: Refusal_Reason.NEEDS_REINSTALL,
  host_archived: Refusal_Reason.HOST_ARCHIVED,
  server_busy: Refusal_Reason.SERVER_BUSY,
  user_unknown: Refusal_Reason.USER_UNKNOWN,
  username_taken: Refusal_Reason.USERNAME_TAKEN,
  last_admin: Refusal_Reason.LAST_ADMIN,
  not_a_user: Refusal_Reason.NOT_A_USER,
  login_failed: Refusal_Reason.LOGIN_FAILED,
  login_delayed: Refusal_Reason.LOGIN_DELAYED,
  login_busy: Refusal_Reason.LOGIN_BUSY,
  setup_link_invalid: Refusal_Reason.SETUP_LINK_INVALID,
  session_unknown: Refusal_Reason.SESSION_UNKNOWN,
  api_token_unknown: Refusal_Reason.API_TOKEN_UNKNOWN,
  insecure_connection: Refusal_Reason.INSECURE_CONNECTION,
  user_disabled: Refusal_Reason.USER_DISABLED,
  channel_unknown: Refusal_Reason.CHANNEL_UNKNOWN,
  channel_name_taken: Refusal_Reason.CHANNEL_NAME_TAKEN,
  too_many_channels: Refusal_Reason.TOO_MANY_CHANNELS,
};

/** Every reason there is. */
export const REFUSAL_REASONS = Object.keys(REASONS) as readonly RefusalReason[];

/** The error detail that a refused caller gets. */
export function toRefusal(error: RefusedError): Refusal {
  return create(RefusalSchema, {
    reason: REASONS[error.reason],
    details: { ...error.details },
    retryAfterMs: error.retryAfterMs,
  });
}

/** The error detail that a caller with a malformed request gets. */
export function toInvalidField(error: InvalidFieldError): InvalidField {
  return create(InvalidFieldSchema, { field: error.field, problem: error.problem });
}

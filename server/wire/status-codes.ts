/**
 * One table from failures to status codes, shared by both listeners: gRPC and
 * Connect number their codes alike.
 */
import { InvalidFieldError, RefusedError, UnavailableError } from "../domain/errors.ts";
import type { RefusalReason } from "../domain/refusal.ts";

/** The codes in use. *Source*: gRPC status codes. */
export const STATUS = {
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

type StatusCode = (typeof STATUS)[keyof typeof STATUS];

const REFUSAL_CODES: Readonly<Record<RefusalReason, StatusCode>> = {
  host_unknown: STATUS.notFound,
  job_unknown: STATUS.notFound,
  release_unknown: STATUS.notFound,
  artifact_unknown: STATUS.notFound,
  host_archived: STATUS.failedPrecondition,
  host_offline: STATUS.failedPrecondition,
  already_at_target: STATUS.failedPrecondition,
  update_running: STATUS.failedPrecondition,
  no_artifact: STATUS.failedPrecondition,
  quarantined: STATUS.failedPrecondition,
  needs_reinstall: STATUS.failedPrecondition,
  no_target: STATUS.failedPrecondition,
  job_ended: STATUS.failedPrecondition,
  job_committed: STATUS.failedPrecondition,
  protocol_too_old: STATUS.failedPrecondition,
  not_in_job: STATUS.failedPrecondition,
  fleet_update_running: STATUS.failedPrecondition,
  fleet_update_unknown: STATUS.notFound,
  fleet_update_ended: STATUS.failedPrecondition,
  no_hosts: STATUS.failedPrecondition,
  alert_unknown: STATUS.notFound,
  token_unknown: STATUS.notFound,
  release_invalid: STATUS.failedPrecondition,
  release_known: STATUS.alreadyExists,
  release_in_use: STATUS.failedPrecondition,
  below_sequence_floor: STATUS.failedPrecondition,
  hello_missing: STATUS.failedPrecondition,
  identity_duplicated: STATUS.alreadyExists,
  token_invalid: STATUS.unauthenticated,
  credential_invalid: STATUS.unauthenticated,
  foreign_job: STATUS.permissionDenied,
  too_many_connections: STATUS.resourceExhausted,
  draining: STATUS.unavailable,
  server_busy: STATUS.unavailable,
  user_unknown: STATUS.notFound,
  username_taken: STATUS.alreadyExists,
  last_admin: STATUS.failedPrecondition,
  not_a_user: STATUS.failedPrecondition,
  login_failed: STATUS.unauthenticated,
  login_delayed: STATUS.resourceExhausted,
  login_busy: STATUS.resourceExhausted,
  setup_link_invalid: STATUS.permissionDenied,
  session_unknown: STATUS.notFound,
  api_token_unknown: STATUS.notFound,
  insecure_connection: STATUS.failedPrecondition,
  user_disabled: STATUS.failedPrecondition,
  channel_unknown: STATUS.notFound,
  channel_name_taken: STATUS.alreadyExists,
  too_many_channels: STATUS.failedPrecondition,
};

/** The status code of a failure; what nobody foresaw is internal. */
export function statusOf(error: unknown): StatusCode {
  if (error instanceof RefusedError) return REFUSAL_CODES[error.reason];
  if (error instanceof InvalidFieldError) return STATUS.invalidArgument;
  if (error instanceof UnavailableError) return STATUS.unavailable;
  return STATUS.internal;
}

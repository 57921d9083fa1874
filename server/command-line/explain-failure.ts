/** What a failed command means to whoever typed it, and how the process ends. */
import { Code, ConnectError } from "@connectrpc/connect";
import { InvalidFieldSchema, Refusal_Reason, RefusalSchema } from "../../gen/rollcall/v1/model_pb.js";
import { CommandError } from "./command-error.ts";
import { EXIT, type ExitStatus } from "./exit-status.ts";

/** Codes of a certificate that is not trusted. *Source*: Node.js documentation, `tls`, "X509 certificate error codes". */
const UNTRUSTED =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|INVALID_CA|PATH_LENGTH|HOSTNAME_MISMATCH)/;

const STATUS_OF_CODE: Partial<Record<Code, ExitStatus>> = {
  [Code.InvalidArgument]: EXIT.usage,
  [Code.Unavailable]: EXIT.unreachable,
  [Code.DeadlineExceeded]: EXIT.unreachable,
  [Code.Unauthenticated]: EXIT.notPermitted,
  [Code.PermissionDenied]: EXIT.notPermitted,
  [Code.NotFound]: EXIT.failed,
  [Code.AlreadyExists]: EXIT.failed,
  [Code.FailedPrecondition]: EXIT.failed,
  [Code.ResourceExhausted]: EXIT.failed,
  [Code.Aborted]: EXIT.failed,
};

/** Puts any failure of a command into a sentence. `server` is where it was asked, as in `https://rollcall.example.org`. */
export function explainFailure(failure: unknown, server: string): CommandError {
  if (failure instanceof CommandError) return failure;
  if (!(failure instanceof ConnectError)) return systemFailure(failure);
  const system = systemCodeOf(failure);
  if (system !== undefined) return notReached(failure, server, system);
  const refusal = failure.findDetails(RefusalSchema)[0];
  const field = failure.findDetails(InvalidFieldSchema)[0];
  const reason = refusal === undefined ? "" : Refusal_Reason[refusal.reason].toLowerCase();
  const exitStatus = STATUS_OF_CODE[failure.code] ?? EXIT.serverFailed;
  return new CommandError(sentenceOf(failure, server, field?.field), exitStatus, { cause: failure, reason });
}

function sentenceOf(failure: ConnectError, server: string, field: string | undefined): string {
  const said = sentence(failure.rawMessage);
  switch (failure.code) {
    case Code.InvalidArgument:
      return field === undefined ? said : `${said} Nothing was changed.`;
    case Code.DeadlineExceeded:
      return `${server} did not answer in time.`;
    case Code.Unauthenticated:
      return `${said} Sign in with: rollcall login`;
    case Code.Unimplemented:
      return `${server} does not know this command; it may be older than this program, or no Rollcall server.`;
    case Code.Unknown:
      return `${server} gave an answer that is none of a Rollcall server's: ${said}`;
    default:
      return said;
  }
}

function notReached(failure: ConnectError, server: string, system: string): CommandError {
  const text = UNTRUSTED.test(system)
    ? `The certificate of ${server} is not trusted (${failure.rawMessage}). ` +
      "Give the authority that signed it with --ca-file, or its key with --pin, to: rollcall login"
    : `${server} cannot be reached: ${failure.rawMessage}`;
  return new CommandError(text, EXIT.unreachable, { cause: failure });
}

/** What the machine itself said, such as ECONNREFUSED; a server's own answer has no such cause. */
function systemCodeOf(failure: ConnectError): string | undefined {
  const { cause } = failure;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** A file that cannot be read, or a fault of this program. */
function systemFailure(failure: unknown): CommandError {
  const error = failure instanceof Error ? failure : new Error(String(failure));
  const isSystem = typeof (error as NodeJS.ErrnoException).syscall === "string";
  return new CommandError(isSystem ? error.message : (error.stack ?? error.message), EXIT.failed, { cause: failure });
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

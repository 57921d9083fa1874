/**
 * The edge that every call to the web listener passes: who calls, may they, is the
 * request well-formed, and what does the caller learn when it fails. A method that
 * declares no minimum role, or one meant for hosts, is refused to everybody.
 */
import { getOption, hasOption, type DescMethod, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type StreamResponse, type UnaryResponse } from "@connectrpc/connect";
import { InvalidFieldSchema, RefusalSchema } from "../../gen/rollcall/v1/model_pb.js";
import { minimum_role, Role } from "../../gen/rollcall/v1/options_pb.js";
import { findViolation } from "../../gen/rules.ts";
import { InvalidFieldError, RefusedError, UnavailableError } from "../domain/errors.ts";
import { toInvalidField, toRefusal } from "../wire/refusal-words.ts";
import { statusOf } from "../wire/status-codes.ts";
import { ANONYMOUS, callerKey, type Caller, type CallerDirectory } from "./caller.ts";

/** What the edge works with. */
export interface EdgeParts {
  readonly callers: CallerDirectory;
  /** Told of failures that nobody foresaw. */
  readonly logFailure: (method: string, error: unknown) => void;
}

/** Makes the interceptor. */
export function createEdgeInterceptor(parts: EdgeParts): Interceptor {
  return (next) => async (request) => {
    try {
      const caller = await identify(parts.callers, request.header.get("authorization"));
      authorize(request.method, caller);
      request.contextValues.set(callerKey, caller);
      if (request.stream) {
        return guardStream(await next({ ...request, message: validated(request.method, request.message) }), parts);
      }
      validate(request.method, request.message);
      return await next(request);
    } catch (error) {
      throw toConnectError(error, request.method, parts);
    }
  };
}

async function identify(callers: CallerDirectory, authorization: string | null): Promise<Caller> {
  if (authorization === null) return ANONYMOUS;
  const bearer = /^Bearer ([\x21-\x7e]{1,512})$/.exec(authorization)?.[1];
  const caller = bearer === undefined ? undefined : await callers.identify(bearer);
  if (caller === undefined) throw new ConnectError("The token is not valid.", Code.Unauthenticated);
  return caller;
}

/** *Throws* ConnectError unless the method's declared role lets this caller in. */
export function authorize(method: DescMethod, caller: Caller): void {
  const role = hasOption(method, minimum_role) ? getOption(method, minimum_role) : Role.UNSPECIFIED;
  if (role === Role.UNSPECIFIED || role === Role.HOST) {
    throw new ConnectError("This method is not served here.", Code.PermissionDenied);
  }
  if (caller.role >= role) return;
  if (caller === ANONYMOUS) throw new ConnectError("Send a token: `authorization: Bearer …`.", Code.Unauthenticated);
  throw new ConnectError(`${method.name} needs the role ${Role[role].toLowerCase()}.`, Code.PermissionDenied);
}

function validate(method: DescMethod, message: Message): void {
  const violation = findViolation(method.input, message);
  if (violation !== undefined) throw new InvalidFieldError(violation.field, violation.problem);
}

async function* validated(method: DescMethod, messages: AsyncIterable<Message>): AsyncIterable<Message> {
  for await (const message of messages) {
    validate(method, message);
    yield message;
  }
}

function guardStream(response: UnaryResponse | StreamResponse, parts: EdgeParts): UnaryResponse | StreamResponse {
  return response.stream ? { ...response, message: guarded(response, parts) } : response;
}

async function* guarded(response: StreamResponse, parts: EdgeParts): AsyncIterable<Message> {
  try {
    yield* response.message;
  } catch (error) {
    throw toConnectError(error, response.method, parts);
  }
}

/** What a caller learns of a failure: its words when they are meant for people, else nothing. */
function toConnectError(error: unknown, method: DescMethod, parts: EdgeParts): ConnectError {
  if (error instanceof ConnectError) return error;
  // The codes are the same numbers in gRPC and Connect.
  const code = statusOf(error) as number as Code;
  if (error instanceof RefusedError) {
    return new ConnectError(error.message, code, undefined, [{ desc: RefusalSchema, value: toRefusal(error) }], error);
  }
  if (error instanceof InvalidFieldError) {
    return new ConnectError(
      error.message,
      code,
      undefined,
      [{ desc: InvalidFieldSchema, value: toInvalidField(error) }],
      error,
    );
  }
  if (error instanceof UnavailableError) return new ConnectError(error.message, code, undefined, undefined, error);
  parts.logFailure(method.name, error);
  return new ConnectError("Something went wrong in the server. Nothing more is known to the caller.", Code.Internal);
}

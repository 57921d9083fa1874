/**
 * The edge that every call to the web listener passes: who calls, may they, is the
 * request well-formed, and what does the caller learn when it fails. A method that
 * declares no minimum role, or one meant for hosts, is refused to everybody.
 *
 * A stream is let in once but watched as long as it is open: it ends when its caller
 * loses the right to it.
 */
import { getOption, hasOption, type DescMethod, type Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
} from "@connectrpc/connect";
import { InvalidFieldSchema, RefusalSchema } from "../../gen/rollcall/v1/model_pb.js";
import { minimum_role, Role } from "../../gen/rollcall/v1/options_pb.js";
import { findViolation } from "../../gen/rules.ts";
import type { Caller } from "../domain/caller.ts";
import { InvalidFieldError, RefusedError, UnavailableError } from "../domain/errors.ts";
import type { RefusalReason } from "../domain/refusal.ts";
import { toInvalidField, toRefusal } from "../wire/refusal-words.ts";
import { statusOf } from "../wire/status-codes.ts";
import { callerKey, type CallerDirectory } from "./caller.ts";
import { identifyCaller } from "./identify-caller.ts";
import type { HeldRights, OpenCallers } from "./open-callers.ts";
import { requestFactsKey } from "./request-facts.ts";

/** What the edge works with. */
export interface EdgeParts {
  readonly callers: CallerDirectory;
  readonly openCallers: OpenCallers;
  /** Told of what is refused. */
  readonly refused: (reason: RefusalReason) => void;
  /** Told of failures that nobody foresaw. */
  readonly logFailure: (method: string, error: unknown) => void;
}

/** Makes the interceptor. */
export function createEdgeInterceptor(parts: EdgeParts): Interceptor {
  return (next) => async (request) => {
    try {
      const caller = await identify(parts.callers, request);
      authorize(request.method, caller);
      request.contextValues.set(callerKey, caller);
      if (request.stream) return await openStream(request, caller, next, parts);
      validate(request.method, request.message);
      return await next(request);
    } catch (error) {
      throw toConnectError(error, request.method, parts);
    }
  };
}

function identify(callers: CallerDirectory, request: UnaryRequest | StreamRequest): Promise<Caller> {
  const { header } = request;
  const headers = {
    authorization: header.get("authorization"),
    cookie: header.get("cookie"),
    contentType: header.get("content-type"),
  };
  return identifyCaller(callers, headers, request.contextValues.get(requestFactsKey));
}

/** The role that a method asks for. *Throws* ConnectError for one that is served to nobody here. */
function requiredRole(method: DescMethod): Role {
  const role = hasOption(method, minimum_role) ? getOption(method, minimum_role) : Role.UNSPECIFIED;
  if (role === Role.UNSPECIFIED || role === Role.HOST)
    throw new ConnectError("This method is not served here.", Code.PermissionDenied);
  return role;
}

/** *Throws* ConnectError unless the method's declared role lets this caller in. */
export function authorize(method: DescMethod, caller: Pick<Caller, "kind" | "role">): void {
  const role = requiredRole(method);
  if (caller.role >= role) return;
  if (caller.kind === "anonymous")
    throw new ConnectError("Sign in, or send a token: `authorization: Bearer …`.", Code.Unauthenticated);
  throw new ConnectError(`${method.name} needs the role ${String(Role[role]).toLowerCase()}.`, Code.PermissionDenied);
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

async function openStream(
  request: StreamRequest,
  caller: Caller,
  next: Parameters<Interceptor>[0],
  parts: EdgeParts,
): Promise<StreamResponse> {
  const rights = parts.openCallers.hold(caller, requiredRole(request.method));
  // A client may be gone before the first message is asked for.
  request.signal.addEventListener("abort", () => rights[Symbol.dispose](), { once: true });
  try {
    const response = await next({
      ...request,
      message: validated(request.method, request.message),
      signal: AbortSignal.any([request.signal, rights.ended]),
    });
    if (!response.stream) throw new Error(`${request.method.name} answers a stream by one message`);
    return { ...response, message: guarded(response, rights, parts) };
  } catch (error) {
    rights[Symbol.dispose]();
    throw error;
  }
}

/** The handler's messages until it ends, fails, or its caller may no longer have them. */
async function* guarded(response: StreamResponse, rights: HeldRights, parts: EdgeParts): AsyncIterable<Message> {
  const messages = response.message[Symbol.asyncIterator]();
  using _held = rights;
  const { ended } = rights;
  const revoked = new Promise<never>((_resolve, reject) => {
    ended.addEventListener("abort", () => reject(ended.reason as ConnectError), { once: true });
  });
  // Without a message under way nobody listens to it.
  revoked.catch(() => undefined);
  try {
    for (;;) {
      const result: IteratorResult<Message, unknown> = await Promise.race([messages.next(), revoked]);
      // Its handler may have left first, on the same signal.
      ended.throwIfAborted();
      if (result.done === true) return;
      yield result.value;
    }
  } catch (error) {
    throw toConnectError(error, response.method, parts);
  } finally {
    // Not awaited: a handler that overlooks its signal must not hold the stream open.
    messages.return?.().catch(() => undefined);
  }
}

/** What a caller learns of a failure: its words when they are meant for people, else nothing. */
function toConnectError(error: unknown, method: DescMethod, parts: EdgeParts): ConnectError {
  if (error instanceof ConnectError) return error;
  // The codes are the same numbers in gRPC and Connect.
  const code = statusOf(error) as number as Code;
  if (error instanceof RefusedError) {
    parts.refused(error.reason);
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

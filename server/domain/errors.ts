/**
 * The failures that callers can tell apart. One table in `server/api` and one in
 * `server/stream` turn them into status codes; nothing else does.
 */
import type { RefusalReason } from "./refusal.ts";

/** A request that was understood and refused. Nothing was changed or sent. */
export class RefusedError extends Error {
  readonly reason: RefusalReason;
  readonly details: Readonly<Record<string, string>>;
  readonly retryAfterMs: number;

  constructor(
    reason: RefusalReason,
    sentence: string,
    details: Readonly<Record<string, string>> = {},
    retryAfterMs = 0,
  ) {
    super(sentence);
    this.name = "RefusedError";
    this.reason = reason;
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A request with a field that may not hold what it holds. */
export class InvalidFieldError extends Error {
  /** Path of the field as written in JSON. */
  readonly field: string;
  readonly problem: string;

  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`);
    this.name = "InvalidFieldError";
    this.field = field;
    this.problem = problem;
  }
}

/** A state and an event that the table does not hold: a broken invariant. */
export class IllegalTransitionError extends Error {
  constructor(state: string, event: string) {
    super(`no transition from ${state} on ${event}`);
    this.name = "IllegalTransitionError";
  }
}

/** Something this server depends on is away; the same request may succeed later. */
export class UnavailableError extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause });
    this.name = "UnavailableError";
  }
}

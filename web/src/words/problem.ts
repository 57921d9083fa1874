/** What a failed call means to the person who made it. */
import { Code, ConnectError } from "@connectrpc/connect";
import { InvalidFieldSchema, RefusalSchema, type Refusal } from "../../../gen/rollcall/v1/model_pb.js";

/** A failed call, read. */
export interface Problem {
  readonly sentence: string;
  readonly refusal: Refusal | undefined;
  /** Name of the field that the server would not take, as in `newPassword`. */
  readonly field: string | undefined;
}

/** Reads a failure of a call. */
export function readProblem(failure: unknown): Problem {
  const error = ConnectError.from(failure);
  const refusal = error.findDetails(RefusalSchema)[0];
  const field = error.findDetails(InvalidFieldSchema)[0];
  return { sentence: sentenceOf(error, field?.problem), refusal, field: field?.field };
}

function sentenceOf(error: ConnectError, problem: string | undefined): string {
  if (problem !== undefined) return `${capitalize(error.rawMessage)}${error.rawMessage.endsWith(".") ? "" : "."}`;
  switch (error.code) {
    case Code.Unavailable:
    case Code.Unknown:
    case Code.Canceled:
    case Code.DeadlineExceeded:
      return "The server was not reached. Nothing was changed as far as this page knows.";
    case Code.Unauthenticated:
      return "Your session has ended. Sign in again.";
    default:
      return `${capitalize(error.rawMessage)}${/[.!?]$/.test(error.rawMessage) ? "" : "."}`;
  }
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** As in `The hosts could not be loaded (unavailable). Nothing was changed.` */
export function loadFailure(what: string, failure: unknown): string {
  return `${what} could not be loaded (${codeName(ConnectError.from(failure).code)}). Nothing was changed.`;
}

function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}

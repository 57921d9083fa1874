/** Refusals of what is no RPC: a status, and a sentence for who sees it in a terminal. */
import type { ServerResponse } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { RefusedError, UnavailableError } from "../domain/errors.ts";

/** Why a request is refused. */
export class PlainRefusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, sentence: string, headers: Readonly<Record<string, string>> = {}) {
    super(sentence);
    this.name = "PlainRefusal";
    this.status = status;
    this.headers = headers;
  }
}

/** Tells the client why, unless it went away or is being answered already. What nobody foresaw goes to `unforeseen`. */
export function refusePlainly(response: ServerResponse, error: unknown, unforeseen: (error: unknown) => void): void {
  const { status, message, headers } = toRefusal(error);
  // A client that went away is no failure; what was already begun can only be cut off.
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (status === 500) unforeseen(error);
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers });
  response.end(`${message}\n`);
}

function toRefusal(error: unknown): Pick<PlainRefusal, "status" | "message" | "headers"> {
  if (error instanceof PlainRefusal) return error;
  if (error instanceof UnavailableError || error instanceof RefusedError) return new PlainRefusal(503, error.message);
  if (error instanceof ConnectError && error.code === Code.Unauthenticated)
    return new PlainRefusal(401, error.rawMessage, { "www-authenticate": "Bearer" });
  if (error instanceof ConnectError && error.code === Code.PermissionDenied)
    return new PlainRefusal(403, error.rawMessage);
  return new PlainRefusal(500, "something went wrong in the server");
}

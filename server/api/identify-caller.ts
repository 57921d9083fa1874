import { Code, ConnectError } from "@connectrpc/connect";
import type { Caller } from "../domain/caller.ts";
import { ANONYMOUS, type CallerDirectory } from "./caller.ts";
import type { RequestFacts } from "./request-facts.ts";
import { readSessionCookie } from "./session-cookie.ts";

/** The headers that tell who sends a request. */
export interface CallerHeaders {
  readonly authorization: string | null;
  readonly cookie: string | null;
  readonly contentType: string | null;
}

/**
 * Tells who sends a request, by its token or its cookie.
 *
 * *Throws* ConnectError for a token that is not valid, and for a cookie that does not count here.
 */
export async function identifyCaller(
  callers: CallerDirectory,
  headers: CallerHeaders,
  facts: RequestFacts,
): Promise<Caller> {
  if (facts.pageOrigin === "foreign")
    throw new ConnectError("A page of another site sent this request.", Code.PermissionDenied);
  if (headers.authorization !== null) {
    const bearer = readBearer(headers.authorization);
    const caller = bearer === undefined ? undefined : await callers.identify(bearer);
    if (caller === undefined) throw new ConnectError("The token is not valid.", Code.Unauthenticated);
    return caller;
  }
  const secret = readSessionCookie(headers.cookie, facts);
  // An ended session is nobody's: its browser must still be able to sign in.
  const caller = secret === undefined ? undefined : await callers.identifySession(secret, facts.address);
  if (caller === undefined) return ANONYMOUS;
  if (isGrpc(headers.contentType))
    throw new ConnectError("A cookie does not count over gRPC; send a token.", Code.Unauthenticated);
  if (facts.pageOrigin !== "own")
    throw new ConnectError("A cookie counts only with an Origin that is this server's.", Code.PermissionDenied);
  return caller;
}

/** The token in an `authorization` header; `undefined` when it holds something else. */
export function readBearer(authorization: string): string | undefined {
  return /^Bearer ([\x21-\x7e]{1,512})$/.exec(authorization)?.[1];
}

/** gRPC itself, which no browser speaks; not gRPC-web. */
function isGrpc(contentType: string | null): boolean {
  return contentType !== null && /^application\/grpc(?!-web)/i.test(contentType);
}

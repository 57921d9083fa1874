import { createContextKey } from "@connectrpc/connect";
import { Role } from "../../gen/rollcall/v1/options_pb.js";
import type { ApiTokenCaller, Caller, FileTokenCaller, SessionCaller } from "../domain/caller.ts";

/** Nobody in particular. */
export const ANONYMOUS: Caller = { kind: "anonymous", name: "anonymous", role: Role.ANYONE };

/** Where the interceptor leaves the caller for the handlers. */
export const callerKey = createContextKey<Caller>(ANONYMOUS, { description: "caller" });

/** Tells callers by what they bring along. */
export interface CallerDirectory {
  /** *Shape*: `undefined` for a token that names nobody, or nobody any more. */
  identify(bearer: string): Promise<FileTokenCaller | ApiTokenCaller | undefined>;
  /** *Shape*: `undefined` for a session that has ended. */
  identifySession(secret: string, address: string): Promise<SessionCaller | undefined>;
  /** The role that each of them has by now. *Shape*: no entry for one whose session or token ended. */
  findRoles(callers: readonly Caller[]): Promise<ReadonlyMap<Caller, Role>>;
}

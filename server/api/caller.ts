import { createContextKey } from "@connectrpc/connect";
import { Role } from "../../gen/rollcall/v1/options_pb.js";

/** Who is calling. */
export interface Caller {
  /** As it stands in the audit log. */
  readonly name: string;
  readonly role: Role;
}

/** Nobody in particular. */
export const ANONYMOUS: Caller = { name: "anonymous", role: Role.ANYONE };

/** Where the interceptor leaves the caller for the handlers. */
export const callerKey = createContextKey<Caller>(ANONYMOUS, { description: "caller" });

/** Tells callers by what they bring along. `undefined` for a credential that names nobody. */
export interface CallerDirectory {
  identify(bearer: string): Promise<Caller | undefined>;
}

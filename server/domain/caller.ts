import type { Role } from "../../gen/rollcall/v1/options_pb.js";
import type { ApiTokenId, UserId, UserSessionId } from "./ids.ts";
import type { UserSession } from "./user.ts";

interface Named {
  /** As it stands in the audit log. */
  readonly name: string;
  readonly role: Role;
}

/** Nobody in particular. */
export interface AnonymousCaller extends Named {
  readonly kind: "anonymous";
}

/** Whoever can read the server's own files. */
export interface FileTokenCaller extends Named {
  readonly kind: "file_token";
}

/** A program. */
export interface ApiTokenCaller extends Named {
  readonly kind: "api_token";
  readonly tokenId: ApiTokenId;
  /** Who answers for it; null for one that was made with the file's token. */
  readonly userId: UserId | null;
}

/** A person in a browser. */
export interface SessionCaller extends Named {
  readonly kind: "session";
  readonly userId: UserId;
  readonly sessionId: UserSessionId;
  readonly session: UserSession;
}

/** Who is calling. */
export type Caller = AnonymousCaller | FileTokenCaller | ApiTokenCaller | SessionCaller;

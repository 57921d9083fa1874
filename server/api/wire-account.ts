/** People, sessions and tokens as they go on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import {
  ApiTokenSchema,
  AuditSealSchema,
  UserSchema,
  UserSessionSchema,
  type ApiToken as WireApiToken,
  type AuditSeal as WireAuditSeal,
  type User as WireUser,
  type UserSession as WireUserSession,
} from "../../gen/rollcall/v1/account_pb.js";
import type { AuditSeal } from "../domain/audit-seal.ts";
import type { Caller } from "../domain/caller.ts";
import type { ApiToken, User, UserSession } from "../domain/user.ts";
import { toWireRole } from "../wire/role-words.ts";

/** A user as it goes on the wire. */
export function toWireUser(user: User): WireUser {
  return create(UserSchema, {
    id: user.id,
    username: user.username,
    role: toWireRole(user.role),
    setUp: user.isSetUp,
    disabled: user.isDisabled,
    createdAt: timestampFromDate(user.createdAt),
    createdBy: user.createdBy,
    ...instant("lastLoginAt", user.lastLoginAt),
  });
}

/** A session as it goes on the wire, as `caller` sees it. */
export function toWireSession(session: UserSession, caller: Caller): WireUserSession {
  return create(UserSessionSchema, {
    id: session.id,
    userId: session.userId,
    createdAt: timestampFromDate(session.createdAt),
    lastUsedAt: timestampFromDate(session.lastUsedAt),
    expiresAt: timestampFromDate(session.expiresAt),
    address: session.address,
    userAgent: session.userAgent,
    current: caller.kind === "session" && caller.sessionId === session.id,
  });
}

/** An API token as it goes on the wire. */
export function toWireApiToken(token: ApiToken): WireApiToken {
  return create(ApiTokenSchema, {
    id: token.id,
    label: token.label,
    role: toWireRole(token.role),
    createdBy: token.createdBy,
    createdAt: timestampFromDate(token.createdAt),
    expiresAt: timestampFromDate(token.expiresAt),
    ...instant("lastUsedAt", token.lastUsedAt),
    ...instant("revokedAt", token.revokedAt),
  });
}

/** A seal as it goes on the wire. */
export function toWireAuditSeal({ fromId, toId, digest, sealedAt }: AuditSeal): WireAuditSeal {
  return create(AuditSealSchema, { fromId, toId, digest, sealedAt: timestampFromDate(sealedAt) });
}

function instant<Name extends string>(name: Name, at: Date | null) {
  return at === null ? {} : ({ [name]: timestampFromDate(at) } as Record<Name, Timestamp>);
}

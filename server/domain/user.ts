/** People, their sessions and the tokens of programs. */
import type { ApiTokenId, UserId, UserSessionId } from "./ids.ts";

/** What people and tokens may be, the least first: each may do what the one before may. */
export const USER_ROLES = ["viewer", "operator", "admin"] as const;

export type UserRole = (typeof USER_ROLES)[number];

/** The lesser of two roles. */
export function lesserRole(left: UserRole, right: UserRole): UserRole {
  return USER_ROLES.indexOf(left) <= USER_ROLES.indexOf(right) ? left : right;
}

/** Somebody who may sign in. */
export interface User {
  readonly id: UserId;
  readonly username: string;
  readonly role: UserRole;
  /** A password is set; until then only a setup link lets them in. */
  readonly isSetUp: boolean;
  readonly isDisabled: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly lastLoginAt: Date | null;
}

/** A browser that is signed in. */
export interface UserSession {
  readonly id: UserSessionId;
  readonly userId: UserId;
  readonly createdAt: Date;
  readonly lastUsedAt: Date;
  /** It ends then, however much it is used. */
  readonly expiresAt: Date;
  readonly address: string;
  readonly userAgent: string;
}

/** What a program signs its requests with. */
export interface ApiToken {
  readonly id: ApiTokenId;
  readonly label: string;
  readonly role: UserRole;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

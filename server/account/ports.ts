/** What accounts ask of the store, and what the API asks of accounts. */
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { Caller, SessionCaller } from "../domain/caller.ts";
import type { ApiTokenId, UserId, UserSessionId } from "../domain/ids.ts";
import type { AgePosition, ListPart } from "../domain/list-part.ts";
import type { AuditCheck } from "../domain/audit-seal.ts";
import type { ApiToken, User, UserRole, UserSession } from "../domain/user.ts";

/** Where a request comes from. */
export interface Origin {
  readonly address: string;
  readonly userAgent: string;
}

/** A user about to be stored. */
export interface NewUser {
  readonly id: UserId;
  readonly username: string;
  readonly role: UserRole;
  readonly passwordHash: string | null;
  readonly createdBy: string;
}

/** A session about to be stored. */
export interface NewUserSession extends Origin {
  readonly id: UserSessionId;
  readonly userId: UserId;
  readonly secretSha256: Uint8Array;
  readonly lifeMs: number;
}

/** A setup link about to be stored. */
export interface NewSetupLink {
  readonly tokenSha256: Uint8Array;
  /** Null for the first admin, who is yet to choose a name. */
  readonly userId: UserId | null;
  readonly createdBy: string;
  readonly lifeMs: number;
}

/** An API token about to be stored. */
export interface NewApiToken {
  readonly id: ApiTokenId;
  readonly secretSha256: Uint8Array;
  readonly label: string;
  readonly role: UserRole;
  readonly createdBy: string;
  readonly creatorId: UserId | null;
  readonly lifeMs: number;
}

/** A setup link that was neither used nor expired. */
export interface FoundSetupLink {
  readonly userId: UserId | null;
  readonly username: string | null;
  readonly expiresAt: Date;
}

/** A user and what their password is checked against. */
export interface Credentials {
  readonly user: User;
  readonly passwordHash: string | null;
}

/** Changes that are stored together or not at all. */
export interface AccountTransaction {
  /** Waits until no other transaction changes who there is and what they may. */
  lockAccounts(): Promise<void>;
  hasUsers(): Promise<boolean>;
  /** Locks a user and what they sign in with. */
  lockUser(id: UserId): Promise<Credentials | undefined>;
  listAdmins(): Promise<readonly User[]>;
  /** *Shape*: `undefined` when the name is taken. */
  insertUser(user: NewUser): Promise<User | undefined>;
  setPasswordHash(id: UserId, passwordHash: string | null): Promise<User>;
  setRole(id: UserId, role: UserRole): Promise<User>;
  setDisabled(id: UserId, isDisabled: boolean): Promise<User>;
  /** Takes the place of every older link for the same user. Tells when it expires. */
  replaceSetupLink(link: NewSetupLink): Promise<Date>;
  /** Uses a link up. *Shape*: `undefined` when it is unknown, used or expired. */
  takeSetupLink(tokenSha256: Uint8Array): Promise<{ readonly userId: UserId | null } | undefined>;
  deleteSetupLinks(userId: UserId): Promise<void>;
  /** Also notes that the user signed in. */
  insertSession(session: NewUserSession): Promise<UserSession>;
  deleteSession(id: UserSessionId): Promise<boolean>;
  deleteSessionsOf(userId: UserId): Promise<void>;
  insertApiToken(token: NewApiToken): Promise<ApiToken>;
  /** *Shape*: `isChanged` is false for one that was revoked before; `undefined` for an unknown one. */
  revokeApiToken(id: ApiTokenId): Promise<{ readonly token: ApiToken; readonly isChanged: boolean } | undefined>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
}

/** What accounts ask of the store. */
export interface AccountStore {
  findCredentials(username: string): Promise<Credentials | undefined>;
  findUser(id: UserId): Promise<User | undefined>;
  findSetupLink(tokenSha256: Uint8Array): Promise<FoundSetupLink | undefined>;
  findSession(id: UserSessionId): Promise<UserSession | undefined>;
  /** By name. */
  listUsers(part: ListPart<string>): Promise<readonly User[]>;
  /** Newest first, those that have not ended. */
  listSessions(userId: UserId, part: ListPart<AgePosition<UserSessionId>>): Promise<readonly UserSession[]>;
  /** Newest first, those that ended too. */
  listApiTokens(part: ListPart<AgePosition<ApiTokenId>>): Promise<readonly ApiToken[]>;
  transaction<Result>(work: (tx: AccountTransaction) => Promise<Result>): Promise<Result>;
}

/** What tells callers by what they bring along asks of the store. Ended and expired things are not found. */
export interface CallerStore {
  /** Notes, to the minute, that it was used and from where. */
  useSession(
    secretSha256: Uint8Array,
    address: string,
  ): Promise<{ readonly session: UserSession; readonly user: User } | undefined>;
  /** Its role is what its creator leaves of it. Notes, to the minute, that it was used. */
  useApiToken(
    secretSha256: Uint8Array,
  ): Promise<{ readonly token: ApiToken; readonly creatorId: UserId | null } | undefined>;
  /** Roles of those that still count. */
  findLiveRoles(asked: {
    readonly sessionIds: readonly UserSessionId[];
    readonly tokenIds: readonly ApiTokenId[];
  }): Promise<ReadonlyMap<UserSessionId | ApiTokenId, UserRole>>;
}

/** A session that was just opened. Its secret goes into the cookie and nowhere else. */
export interface OpenedSession {
  readonly user: User;
  readonly session: UserSession;
  readonly secret: string;
}

/** A setup link that was just made. */
export interface MadeSetupLink {
  readonly token: string;
  readonly expiresAt: Date;
}

/** Signing in and out. Each method *throws* RefusedError or InvalidFieldError and changes nothing then. */
export interface SignInPort {
  findSetup(token: string): Promise<FoundSetupLink>;
  completeSetup(request: {
    readonly token: string;
    readonly username: string;
    readonly password: string;
    readonly origin: Origin;
  }): Promise<OpenedSession>;
  login(request: {
    readonly username: string;
    readonly password: string;
    readonly origin: Origin;
    /** Whoever was signed in before: that session ends. */
    readonly caller: Caller;
  }): Promise<OpenedSession>;
  logout(caller: SessionCaller): Promise<void>;
  changePassword(request: {
    readonly caller: SessionCaller;
    readonly currentPassword: string;
    readonly newPassword: string;
    readonly origin: Origin;
  }): Promise<OpenedSession>;
}

/** Administration. Each method *throws* RefusedError or InvalidFieldError and changes nothing then. */
export interface UserDeskPort {
  findUser(id: UserId): Promise<User>;
  listUsers(part: ListPart<string>): Promise<readonly User[]>;
  createUser(
    caller: Caller,
    username: string,
    role: UserRole,
  ): Promise<{ readonly user: User; readonly link: MadeSetupLink }>;
  setRole(caller: Caller, id: UserId, role: UserRole): Promise<User>;
  setDisabled(caller: Caller, id: UserId, isDisabled: boolean): Promise<User>;
  resetUser(caller: Caller, id: UserId): Promise<{ readonly user: User; readonly link: MadeSetupLink }>;
  /** One's own when no user is named. */
  listSessions(
    caller: Caller,
    userId: UserId | undefined,
    part: ListPart<AgePosition<UserSessionId>>,
  ): Promise<readonly UserSession[]>;
  revokeSession(caller: Caller, id: UserSessionId): Promise<void>;
  createApiToken(
    caller: Caller,
    token: { readonly label: string; readonly role: UserRole; readonly lifeMs: number },
  ): Promise<{ readonly token: ApiToken; readonly secret: string }>;
  listApiTokens(part: ListPart<AgePosition<ApiTokenId>>): Promise<readonly ApiToken[]>;
  revokeApiToken(caller: Caller, id: ApiTokenId): Promise<ApiToken>;
}

/** The audit log, as whoever doubts it asks for it. */
export interface AuditLogPort {
  /** Compares every seal with its events and with the seal before it. */
  check(): Promise<AuditCheck>;
  /** *Shape*: `digest` in lower-case hex. */
  hasSeal(digest: string): Promise<boolean>;
}

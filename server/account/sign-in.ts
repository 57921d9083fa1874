/**
 * Signing in and out. Every way in gives a session of a new id; whatever voids a
 * password ends the sessions that it opened. Passwords are hashed before a
 * transaction begins, and what they were checked against is compared again in it.
 */
import type { Random } from "../domain/clock.ts";
import type { SessionCaller } from "../domain/caller.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { UserId, UserSessionId } from "../domain/ids.ts";
import type { User } from "../domain/user.ts";
import type { LoginThrottle } from "./login-throttle.ts";
import { checkPassword, checkUsername } from "./password-policy.ts";
import type { Passwords } from "./passwords.ts";
import type {
  AccountStore,
  AccountTransaction,
  Credentials,
  FoundSetupLink,
  OpenedSession,
  Origin,
  SignInPort,
} from "./ports.ts";
import { createSecret, digestSecret } from "./secrets.ts";
import { SESSION_LIFE } from "./session-life.ts";

/** What signing in works with. */
export interface SignInParts {
  readonly store: AccountStore;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly random: Random;
  /** Told once sessions ended, so that their open streams end too. */
  readonly sessionsEnded: () => void;
  /** Told once the server has its first user. */
  readonly firstUserCreated: () => void;
}

export class SignIn implements SignInPort {
  readonly #parts: SignInParts;

  constructor(parts: SignInParts) {
    this.#parts = parts;
  }

  async findSetup(token: string): Promise<FoundSetupLink> {
    const link = await this.#parts.store.findSetupLink(digestSecret(token));
    if (link === undefined) throw setupLinkInvalid();
    return link;
  }

  async completeSetup(request: Parameters<SignInPort["completeSetup"]>[0]): Promise<OpenedSession> {
    const { token, password, origin } = request;
    const link = await this.findSetup(token);
    const username = link.username ?? request.username;
    if (link.username === null) checkUsername(username);
    else if (request.username !== "" && request.username !== link.username)
      throw new InvalidFieldError("username", "is not the one that the link is for");
    checkPassword("password", password, username);
    const passwordHash = await this.#parts.passwords.hash(password);
    const opened = await this.#parts.store.transaction(async (tx) => {
      await tx.lockAccounts();
      const taken = await tx.takeSetupLink(digestSecret(token));
      if (taken === undefined) throw setupLinkInvalid();
      const user =
        taken.userId === null
          ? await this.#insertFirstAdmin(tx, username, passwordHash)
          : await setUp(tx, taken.userId, passwordHash);
      await tx.writeAuditEvent({
        actor: user.username,
        action: taken.userId === null ? "user.created" : "user.set_up",
        cause: "a setup link was used",
        details: { user_id: user.id, username: user.username, role: user.role, address: origin.address },
      });
      return this.#openSession(tx, user, origin, "a setup link was used");
    });
    this.#parts.sessionsEnded();
    if (link.username === null) this.#parts.firstUserCreated();
    return opened;
  }

  async login(request: Parameters<SignInPort["login"]>[0]): Promise<OpenedSession> {
    const { username, password, origin, caller } = request;
    const { store, throttle, passwords } = this.#parts;
    throttle.admit(username, origin.address);
    const found = await store.findCredentials(username);
    const isRight = await passwords.matches(password, found?.passwordHash ?? null);
    if (!isRight || found === undefined || found.user.isDisabled) {
      await store.transaction((tx) => tx.writeAuditEvent(loginFailed(found, origin)));
      throw new RefusedError("login_failed", "The name or the password is wrong.");
    }
    const opened = await store.transaction(async (tx) => {
      const locked = await tx.lockUser(found.user.id);
      if (locked === undefined || locked.user.isDisabled || locked.passwordHash !== found.passwordHash)
        throw new RefusedError("login_failed", "The account changed while you signed in. Try again.");
      if (caller.kind === "session") await tx.deleteSession(caller.sessionId);
      return this.#openSession(tx, locked.user, origin, "the password was right");
    });
    throttle.succeeded(username, origin.address);
    this.#parts.sessionsEnded();
    return opened;
  }

  async logout(caller: SessionCaller): Promise<void> {
    await this.#parts.store.transaction(async (tx) => {
      if (!(await tx.deleteSession(caller.sessionId))) return;
      await tx.writeAuditEvent({
        actor: caller.name,
        action: "session.logout",
        cause: "asked for",
        details: { user_id: caller.userId, session_id: caller.sessionId },
      });
    });
    this.#parts.sessionsEnded();
  }

  async changePassword(request: Parameters<SignInPort["changePassword"]>[0]): Promise<OpenedSession> {
    const { caller, currentPassword, newPassword, origin } = request;
    const { store, throttle, passwords } = this.#parts;
    checkPassword("newPassword", newPassword, caller.name);
    if (newPassword === currentPassword) throw new InvalidFieldError("newPassword", "is the current one");
    throttle.admit(caller.name, origin.address);
    const found = await store.findCredentials(caller.name);
    if (!(await passwords.matches(currentPassword, found?.passwordHash ?? null)))
      throw new InvalidFieldError("currentPassword", "is wrong");
    throttle.succeeded(caller.name, origin.address);
    const passwordHash = await passwords.hash(newPassword);
    const opened = await store.transaction(async (tx) => {
      const locked = await tx.lockUser(caller.userId);
      if (locked === undefined || locked.user.isDisabled || locked.passwordHash !== found?.passwordHash)
        throw new RefusedError("login_failed", "The account changed meanwhile. Sign in again.");
      const user = await tx.setPasswordHash(caller.userId, passwordHash);
      await tx.deleteSessionsOf(caller.userId);
      await tx.writeAuditEvent({
        actor: caller.name,
        action: "user.password_changed",
        cause: "asked for",
        details: { user_id: caller.userId, address: origin.address },
      });
      return this.#openSession(tx, user, origin, "the password was changed");
    });
    this.#parts.sessionsEnded();
    return opened;
  }

  async #insertFirstAdmin(tx: AccountTransaction, username: string, passwordHash: string): Promise<User> {
    if (await tx.hasUsers()) throw setupLinkInvalid();
    const id = this.#parts.random.uuid() as UserId;
    const user = await tx.insertUser({ id, username, role: "admin", passwordHash, createdBy: "setup-link" });
    if (user === undefined) throw setupLinkInvalid();
    return user;
  }

  async #openSession(tx: AccountTransaction, user: User, origin: Origin, cause: string): Promise<OpenedSession> {
    const secret = createSecret("rc_session_", this.#parts.random);
    const id = this.#parts.random.uuid() as UserSessionId;
    const session = await tx.insertSession({
      id,
      userId: user.id,
      secretSha256: digestSecret(secret),
      lifeMs: SESSION_LIFE.absoluteMs,
      ...origin,
    });
    await tx.writeAuditEvent({
      actor: user.username,
      action: "session.login",
      cause,
      details: { user_id: user.id, session_id: id, address: origin.address },
    });
    return { user: { ...user, lastLoginAt: session.createdAt }, session, secret };
  }
}

async function setUp(tx: AccountTransaction, userId: UserId, passwordHash: string): Promise<User> {
  const locked = await tx.lockUser(userId);
  if (locked === undefined || locked.user.isDisabled) throw setupLinkInvalid();
  await tx.deleteSessionsOf(userId);
  return tx.setPasswordHash(userId, passwordHash);
}

/** A name that nobody has is not written down: people type their password there. */
function loginFailed(found: Credentials | undefined, origin: Origin) {
  const cause = found?.user.isDisabled ? "the user is disabled or the password was wrong" : "the password was wrong";
  return {
    actor: "anonymous",
    action: "session.login_failed",
    cause: found === undefined ? "there is no such user" : cause,
    details: {
      address: origin.address,
      ...(found === undefined ? {} : { user_id: found.user.id, username: found.user.username }),
    },
  } as const;
}

function setupLinkInvalid(): RefusedError {
  return new RefusedError(
    "setup_link_invalid",
    "This setup link was used, replaced by a newer one, or is older than an hour. Ask for a new one.",
  );
}

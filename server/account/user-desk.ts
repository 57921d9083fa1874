/**
 * Administration of people and tokens. Whatever takes rights away does so in one
 * transaction with the sessions that carried them, and only while another admin is
 * left: such changes wait for each other, so that two admins can't demote each other.
 */
import type { AuditAction } from "../domain/audit-event.ts";
import type { Caller } from "../domain/caller.ts";
import type { Random } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { ApiTokenId, UserId, UserSessionId } from "../domain/ids.ts";
import type { AgePosition, ListPart } from "../domain/list-part.ts";
import type { ApiToken, User, UserRole, UserSession } from "../domain/user.ts";
import { toWireRole } from "../wire/role-words.ts";
import { isLastAdmin } from "./last-admin.ts";
import { checkUsername } from "./password-policy.ts";
import type { AccountStore, AccountTransaction, Credentials, MadeSetupLink, UserDeskPort } from "./ports.ts";
import { createSecret, digestSecret } from "./secrets.ts";
import { SETUP_LINK_LIFE_MS } from "./session-life.ts";

/** What the desk works with. */
export interface UserDeskParts {
  readonly store: AccountStore;
  readonly random: Random;
  /** Told once something was revoked, so that open streams end. */
  readonly rightsChanged: () => void;
}

export class UserDesk implements UserDeskPort {
  readonly #store: AccountStore;
  readonly #random: Random;
  readonly #rightsChanged: () => void;

  constructor(parts: UserDeskParts) {
    this.#store = parts.store;
    this.#random = parts.random;
    this.#rightsChanged = parts.rightsChanged;
  }

  async findUser(id: UserId): Promise<User> {
    const user = await this.#store.findUser(id);
    if (user === undefined) throw userUnknown(id);
    return user;
  }

  listUsers(part: ListPart<string>): Promise<readonly User[]> {
    return this.#store.listUsers(part);
  }

  async createUser(
    caller: Caller,
    username: string,
    role: UserRole,
  ): Promise<{ readonly user: User; readonly link: MadeSetupLink }> {
    checkUsername(username);
    return this.#store.transaction(async (tx) => {
      await tx.lockAccounts();
      const id = this.#random.uuid() as UserId;
      const user = await tx.insertUser({ id, username, role, passwordHash: null, createdBy: caller.name });
      if (user === undefined)
        throw new RefusedError("username_taken", `There is a user ${username} already.`, { username });
      await audit(tx, caller, "user.created", user);
      return { user, link: await this.#makeLink(tx, caller, user.id) };
    });
  }

  setRole(caller: Caller, id: UserId, role: UserRole): Promise<User> {
    return this.#change(id, async (tx, { user }) => {
      if (user.role === role) return user;
      if (role !== "admin") await refuseLastAdmin(tx, user);
      const changed = await tx.setRole(id, role);
      await tx.deleteSessionsOf(id);
      await audit(tx, caller, "user.role_changed", changed, { former_role: user.role });
      return changed;
    });
  }

  setDisabled(caller: Caller, id: UserId, isDisabled: boolean): Promise<User> {
    return this.#change(id, async (tx, { user }) => {
      if (user.isDisabled === isDisabled) return user;
      if (isDisabled) await refuseLastAdmin(tx, user);
      const changed = await tx.setDisabled(id, isDisabled);
      await tx.deleteSessionsOf(id);
      await tx.deleteSetupLinks(id);
      await audit(tx, caller, isDisabled ? "user.disabled" : "user.enabled", changed);
      return changed;
    });
  }

  resetUser(caller: Caller, id: UserId): Promise<{ readonly user: User; readonly link: MadeSetupLink }> {
    return this.#change(id, async (tx, { user }) => {
      if (user.isDisabled)
        throw new RefusedError("user_disabled", `${user.username} is disabled; enable them first.`, { user_id: id });
      const changed = await tx.setPasswordHash(id, null);
      await tx.deleteSessionsOf(id);
      await audit(tx, caller, "user.reset", changed);
      return { user: changed, link: await this.#makeLink(tx, caller, id) };
    });
  }

  async listSessions(
    caller: Caller,
    userId: UserId | undefined,
    part: ListPart<AgePosition<UserSessionId>>,
  ): Promise<readonly UserSession[]> {
    const ownId = caller.kind === "session" ? caller.userId : undefined;
    const wantedId = userId ?? ownId;
    if (wantedId === undefined) throw notAUser("Name a user: a token has no sessions of its own.");
    if (wantedId !== ownId) {
      if (!isAdmin(caller)) throw userUnknown(wantedId);
      await this.findUser(wantedId);
    }
    return this.#store.listSessions(wantedId, part);
  }

  async revokeSession(caller: Caller, id: UserSessionId): Promise<void> {
    const session = await this.#store.findSession(id);
    const isOwn = session !== undefined && caller.kind === "session" && session.userId === caller.userId;
    if (session === undefined || !(isOwn || isAdmin(caller))) {
      // The same words for one that is somebody else's: who may not see it learns nothing.
      throw new RefusedError("session_unknown", "There is no such session, or it has ended.", { session_id: id });
    }
    await this.#store.transaction(async (tx) => {
      if (!(await tx.deleteSession(id))) return;
      await tx.writeAuditEvent({
        actor: caller.name,
        action: "session.revoked",
        cause: "asked for",
        details: { user_id: session.userId, session_id: id },
      });
    });
    this.#rightsChanged();
  }

  async createApiToken(
    caller: Caller,
    request: { readonly label: string; readonly role: UserRole; readonly lifeMs: number },
  ): Promise<{ readonly token: ApiToken; readonly secret: string }> {
    const secret = createSecret("rc_api_", this.#random);
    const creatorId = caller.kind === "session" || caller.kind === "api_token" ? caller.userId : null;
    const token = await this.#store.transaction(async (tx) => {
      const id = this.#random.uuid() as ApiTokenId;
      const secretSha256 = digestSecret(secret);
      const made = await tx.insertApiToken({ id, secretSha256, ...request, createdBy: caller.name, creatorId });
      await auditToken(tx, caller, "token.created", made);
      return made;
    });
    return { token, secret };
  }

  listApiTokens(part: ListPart<AgePosition<ApiTokenId>>): Promise<readonly ApiToken[]> {
    return this.#store.listApiTokens(part);
  }

  async revokeApiToken(caller: Caller, id: ApiTokenId): Promise<ApiToken> {
    const token = await this.#store.transaction(async (tx) => {
      const revoked = await tx.revokeApiToken(id);
      if (revoked === undefined)
        throw new RefusedError("api_token_unknown", `There is no API token ${id}.`, { api_token_id: id });
      if (revoked.isChanged) await auditToken(tx, caller, "token.revoked", revoked.token);
      return revoked.token;
    });
    this.#rightsChanged();
    return token;
  }

  /** Changes one user, with nobody else changing any. */
  async #change<Result>(
    id: UserId,
    change: (tx: AccountTransaction, found: Credentials) => Promise<Result>,
  ): Promise<Result> {
    const result = await this.#store.transaction(async (tx) => {
      await tx.lockAccounts();
      const found = await tx.lockUser(id);
      if (found === undefined) throw userUnknown(id);
      return change(tx, found);
    });
    this.#rightsChanged();
    return result;
  }

  async #makeLink(tx: AccountTransaction, caller: Caller, userId: UserId): Promise<MadeSetupLink> {
    const token = createSecret("rc_setup_", this.#random);
    const tokenSha256 = digestSecret(token);
    const expiresAt = await tx.replaceSetupLink({
      tokenSha256,
      userId,
      createdBy: caller.name,
      lifeMs: SETUP_LINK_LIFE_MS,
    });
    return { token, expiresAt };
  }
}

async function refuseLastAdmin(tx: AccountTransaction, user: User): Promise<void> {
  if (!isLastAdmin(user, await tx.listAdmins())) return;
  const sentence = `${user.username} is the last admin who can sign in. Make somebody else an admin first.`;
  throw new RefusedError("last_admin", sentence, { user_id: user.id });
}

function audit(tx: AccountTransaction, caller: Caller, action: AuditAction, user: User, more: object = {}) {
  const details = { user_id: user.id, username: user.username, role: user.role, ...more };
  return tx.writeAuditEvent({ actor: caller.name, action, cause: "asked for", details });
}

function auditToken(tx: AccountTransaction, caller: Caller, action: AuditAction, token: ApiToken) {
  const details = { api_token_id: token.id, label: token.label, role: token.role };
  return tx.writeAuditEvent({ actor: caller.name, action, cause: "asked for", details });
}

function isAdmin(caller: Caller): boolean {
  return caller.role >= toWireRole("admin");
}

function userUnknown(id: UserId): RefusedError {
  return new RefusedError("user_unknown", `There is no user ${id}.`, { user_id: id });
}

function notAUser(sentence: string): RefusedError {
  return new RefusedError("not_a_user", sentence);
}

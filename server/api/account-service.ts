/** AccountService: people and programs that use the server. What it takes for a browser goes into cookies here. */
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { AccountService } from "../../gen/rollcall/v1/account_pb.js";
import type { Role } from "../../gen/rollcall/v1/options_pb.js";
import type { AuditLogPort, MadeSetupLink, OpenedSession, Origin, SignInPort, UserDeskPort } from "../account/ports.ts";
import type { SessionCaller } from "../domain/caller.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { ApiTokenId, UserId, UserSessionId } from "../domain/ids.ts";
import type { UserRole } from "../domain/user.ts";
import { toUserRole } from "../wire/role-words.ts";
import { callerKey } from "./caller.ts";
import { cutPage, decodeInstantToken, decodePageToken, pageSize } from "./page-token.ts";
import { requestFactsKey } from "./request-facts.ts";
import { expiredSessionCookie, sessionCookie } from "./session-cookie.ts";
import { toWireApiToken, toWireAuditSeal, toWireSession, toWireUser } from "./wire-account.ts";

/** What the service works with. */
export interface AccountServiceParts {
  readonly signIn: SignInPort;
  readonly userDesk: UserDeskPort;
  readonly auditLog: AuditLogPort;
  /** The page that a setup link opens, without its secret. */
  readonly setupPage: () => string;
}

const DEFAULT_TOKEN_LIFE_S = 90 * 86_400;

/** Makes the handlers. Requests were checked against their rules and roles before they come here. */
export function createAccountService(parts: AccountServiceParts): ServiceImpl<typeof AccountService> {
  const { signIn, userDesk, auditLog } = parts;
  const toWireLink = (link: MadeSetupLink) => ({
    url: `${parts.setupPage()}#${link.token}`,
    expiresAt: timestampFromDate(link.expiresAt),
  });
  return {
    async getSetup(request) {
      const setup = await signIn.findSetup(request.token);
      return { username: setup.username ?? "", expiresAt: timestampFromDate(setup.expiresAt) };
    },

    async completeSetup(request, context) {
      const { token, username, password } = request;
      refuseInsecure(context);
      return begin(await signIn.completeSetup({ token, username, password, origin: originOf(context) }), context);
    },

    async login(request, context) {
      const { username, password } = request;
      refuseInsecure(context);
      const caller = context.values.get(callerKey);
      return begin(await signIn.login({ username, password, origin: originOf(context), caller }), context);
    },

    async logout(_request, context) {
      const caller = context.values.get(callerKey);
      if (caller.kind === "session") await signIn.logout(caller);
      context.responseHeader.append("set-cookie", expiredSessionCookie(context.values.get(requestFactsKey)));
      return {};
    },

    async getCurrentUser(_request, context) {
      const caller = context.values.get(callerKey);
      const { name, role } = caller;
      if (caller.kind !== "session") return { name, role };
      const user = toWireUser(await userDesk.findUser(caller.userId));
      return { name, role, user, session: toWireSession(caller.session, caller) };
    },

    async changePassword(request, context) {
      const { currentPassword, newPassword } = request;
      const caller = sessionOf(context);
      begin(await signIn.changePassword({ caller, currentPassword, newPassword, origin: originOf(context) }), context);
      return {};
    },

    async listUsers(request) {
      const limit = pageSize(request.pageSize);
      const token = decodePageToken<[string]>(request.pageToken, (parts) => parts.length === 1);
      const users = await userDesk.listUsers({ ...(token && { after: token[0] }), limit: limit + 1 });
      const { page, nextPageToken } = cutPage(users, limit, (last) => [last.username]);
      return { users: page.map(toWireUser), nextPageToken };
    },

    async createUser(request, context) {
      const caller = context.values.get(callerKey);
      const { user, link } = await userDesk.createUser(caller, request.username, userRole(request.role));
      return { user: toWireUser(user), setupLink: toWireLink(link) };
    },

    async setUserRole(request, context) {
      const role = userRole(request.role);
      return {
        user: toWireUser(await userDesk.setRole(context.values.get(callerKey), request.userId as UserId, role)),
      };
    },

    async disableUser(request, context) {
      const caller = context.values.get(callerKey);
      return { user: toWireUser(await userDesk.setDisabled(caller, request.userId as UserId, true)) };
    },

    async enableUser(request, context) {
      const caller = context.values.get(callerKey);
      return { user: toWireUser(await userDesk.setDisabled(caller, request.userId as UserId, false)) };
    },

    async resetUser(request, context) {
      const { user, link } = await userDesk.resetUser(context.values.get(callerKey), request.userId as UserId);
      return { user: toWireUser(user), setupLink: toWireLink(link) };
    },

    async listSessions(request, context) {
      const caller = context.values.get(callerKey);
      const userId = request.userId === "" ? undefined : (request.userId as UserId);
      const limit = pageSize(request.pageSize);
      const token = decodeInstantToken(request.pageToken);
      const after = token && { after: { createdAt: token.at, id: token.id as UserSessionId } };
      const sessions = await userDesk.listSessions(caller, userId, { ...after, limit: limit + 1 });
      const { page, nextPageToken } = cutPage(sessions, limit, (last) => [last.createdAt.toISOString(), last.id]);
      return { sessions: page.map((session) => toWireSession(session, caller)), nextPageToken };
    },

    async revokeSession(request, context) {
      await userDesk.revokeSession(context.values.get(callerKey), request.sessionId as UserSessionId);
      return {};
    },

    async createApiToken(request, context) {
      const { token, secret } = await userDesk.createApiToken(context.values.get(callerKey), {
        label: request.label,
        role: userRole(request.role),
        lifeMs: (request.validForSeconds || DEFAULT_TOKEN_LIFE_S) * 1000,
      });
      return { apiToken: toWireApiToken(token), secret };
    },

    async listApiTokens(request) {
      const limit = pageSize(request.pageSize);
      const token = decodeInstantToken(request.pageToken);
      const after = token && { after: { createdAt: token.at, id: token.id as ApiTokenId } };
      const tokens = await userDesk.listApiTokens({ ...after, limit: limit + 1 });
      const { page, nextPageToken } = cutPage(tokens, limit, (last) => [last.createdAt.toISOString(), last.id]);
      return { apiTokens: page.map(toWireApiToken), nextPageToken };
    },

    async revokeApiToken(request, context) {
      const token = await userDesk.revokeApiToken(context.values.get(callerKey), request.apiTokenId as ApiTokenId);
      return { apiToken: toWireApiToken(token) };
    },

    async checkAuditLog({ knownDigest }) {
      const { head, broken } = await auditLog.check();
      return {
        ...(head && { head: toWireAuditSeal(head) }),
        ...(broken && { firstBroken: toWireAuditSeal(broken) }),
        knownDigestFound: knownDigest !== "" && (await auditLog.hasSeal(knownDigest)),
      };
    },
  };
}

/** Gives the browser its cookie. */
function begin(opened: OpenedSession, context: HandlerContext) {
  const { session, user, secret } = opened;
  const lifeMs = session.expiresAt.getTime() - session.createdAt.getTime();
  context.responseHeader.append("set-cookie", sessionCookie(secret, lifeMs, context.values.get(requestFactsKey)));
  return { user: toWireUser(user) };
}

/** A password must not cross a network in the clear. */
function refuseInsecure(context: HandlerContext): void {
  if (context.values.get(requestFactsKey).mayUseCookies) return;
  throw new RefusedError("insecure_connection", "Sign in over https; the proxy says that this request came without.");
}

function originOf(context: HandlerContext): Origin {
  const { address, userAgent } = context.values.get(requestFactsKey);
  return { address, userAgent };
}

function sessionOf(context: HandlerContext): SessionCaller {
  const caller = context.values.get(callerKey);
  if (caller.kind === "session") return caller;
  throw new RefusedError("not_a_user", "A token has no password; sign in as a user.");
}

function userRole(role: Role): UserRole {
  const name = toUserRole(role);
  if (name === undefined) throw new InvalidFieldError("role", "must be ROLE_VIEWER, ROLE_OPERATOR or ROLE_ADMIN");
  return name;
}

/** The store as accounts ask for it: its questions bound to one database and one length of idleness. */
import type { Kysely, Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { ApiTokenId, UserId, UserSessionId } from "../domain/ids.ts";
import type { AgePosition, ListPart } from "../domain/list-part.ts";
import type { UserRole } from "../domain/user.ts";
import { insertApiToken, listApiTokens, listTokenRoles, revokeApiToken, useApiToken } from "./api-tokens.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import type { Db } from "./schema.ts";
import { deleteSetupLinks, findSetupLink, replaceSetupLink, takeSetupLink } from "./setup-links.ts";
import {
  deleteSession,
  deleteSessionsOf,
  findSession,
  insertSession,
  listSessionRoles,
  listSessions,
  useSession,
} from "./user-sessions.ts";
import {
  findCredentials,
  findUser,
  hasUsers,
  insertUser,
  listAdmins,
  listUsers,
  lockAccounts,
  lockUser,
  updateUser,
} from "./users.ts";

/** Binds the questions about people, sessions and tokens. *Units*: `idleMs` in milliseconds. */
export function createAccountStore(db: Kysely<Db>, idleMs: number) {
  type Bound = ReturnType<typeof bindTransaction>;
  return {
    findCredentials: (username: string) => answered(findCredentials(db, username)),
    findUser: (id: UserId) => answered(findUser(db, id)),
    findSetupLink: (tokenSha256: Uint8Array) => answered(findSetupLink(db, tokenSha256)),
    findSession: (id: UserSessionId) => answered(findSession(db, id, idleMs)),
    listUsers: (part: ListPart<string>) => answered(listUsers(db, part)),
    listSessions: (userId: UserId, part: ListPart<AgePosition<UserSessionId>>) =>
      answered(listSessions(db, userId, part, idleMs)),
    listApiTokens: (part: ListPart<AgePosition<ApiTokenId>>) => answered(listApiTokens(db, part)),
    useSession: (secretSha256: Uint8Array, address: string) => answered(useSession(db, secretSha256, address, idleMs)),
    useApiToken: (secretSha256: Uint8Array) => answered(useApiToken(db, secretSha256)),
    async findLiveRoles(asked: {
      readonly sessionIds: readonly UserSessionId[];
      readonly tokenIds: readonly ApiTokenId[];
    }) {
      const sessions = await answered(listSessionRoles(db, asked.sessionIds, idleMs));
      const tokens = await answered(listTokenRoles(db, asked.tokenIds));
      return new Map<UserSessionId | ApiTokenId, UserRole>([...sessions, ...tokens].map(({ id, role }) => [id, role]));
    },
    transaction: <Result>(work: (tx: Bound) => Promise<Result>): Promise<Result> =>
      answered(db.transaction().execute((tx) => work(bindTransaction(tx, idleMs)))),
  };
}

function bindTransaction(tx: Transaction<Db>, idleMs: number) {
  return {
    lockAccounts: () => lockAccounts(tx),
    hasUsers: () => hasUsers(tx),
    lockUser: (id: UserId) => lockUser(tx, id),
    listAdmins: () => listAdmins(tx),
    insertUser: (user: Parameters<typeof insertUser>[1]) => insertUser(tx, user),
    setPasswordHash: (id: UserId, passwordHash: string | null) => updateUser(tx, id, { passwordHash }),
    setRole: (id: UserId, role: UserRole) => updateUser(tx, id, { role }),
    setDisabled: (id: UserId, isDisabled: boolean) => updateUser(tx, id, { isDisabled }),
    replaceSetupLink: (link: Parameters<typeof replaceSetupLink>[1]) => replaceSetupLink(tx, link),
    takeSetupLink: (tokenSha256: Uint8Array) => takeSetupLink(tx, tokenSha256),
    deleteSetupLinks: (userId: UserId) => deleteSetupLinks(tx, userId),
    insertSession: (session: Parameters<typeof insertSession>[1]) => insertSession(tx, session, idleMs),
    deleteSession: (id: UserSessionId) => deleteSession(tx, id),
    deleteSessionsOf: (userId: UserId) => deleteSessionsOf(tx, userId),
    insertApiToken: (token: Parameters<typeof insertApiToken>[1]) => insertApiToken(tx, token),
    revokeApiToken: (id: ApiTokenId) => revokeApiToken(tx, id),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}

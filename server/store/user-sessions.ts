/** Sessions of people. Only hashes of their secrets are stored; whether one lives is decided by the database's clock. */
import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import type { UserId, UserSessionId } from "../domain/ids.ts";
import type { AgePosition, ListPart } from "../domain/list-part.ts";
import type { User, UserRole, UserSession } from "../domain/user.ts";
import type { UserSessionsTable } from "./account-schema.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";
import { findUser } from "./users.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** A session's last use is noted this coarsely, so that reading writes next to nothing. */
const TOUCH_EVERY_MS = 60_000;

function isLive(idleMs: number) {
  return sql<boolean>`user_sessions.expires_at > clock_timestamp()
    and user_sessions.last_used_at > clock_timestamp() - ${milliseconds(idleMs)}`;
}

function toSession(row: Selectable<UserSessionsTable>): UserSession {
  return {
    id: row.id,
    userId: row.user_id,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    address: row.address,
    userAgent: row.user_agent,
  };
}

/** Opens a session, notes that its user signed in and clears away those of theirs that have ended. */
export async function insertSession(
  tx: Transaction<Db>,
  session: {
    readonly id: UserSessionId;
    readonly userId: UserId;
    readonly secretSha256: Uint8Array;
    readonly address: string;
    readonly userAgent: string;
    readonly lifeMs: number;
  },
  idleMs: number,
): Promise<UserSession> {
  await tx
    .deleteFrom("user_sessions")
    .where("user_id", "=", session.userId)
    .where(sql<boolean>`not (${isLive(idleMs)})`)
    .execute();
  const row = await tx
    .insertInto("user_sessions")
    .values({
      id: session.id,
      user_id: session.userId,
      secret_sha256: Buffer.from(session.secretSha256),
      address: session.address,
      user_agent: session.userAgent,
      expires_at: sql<Date>`clock_timestamp() + ${milliseconds(session.lifeMs)}`,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tx.updateTable("users").set({ last_login_at: row.created_at }).where("id", "=", session.userId).execute();
  return toSession(row);
}

/** Finds a session by its secret and notes, to the minute, that it was used. *Shape*: `undefined` once it has ended. */
export async function useSession(
  db: Executor,
  secretSha256: Uint8Array,
  address: string,
  idleMs: number,
): Promise<{ readonly session: UserSession; readonly user: User } | undefined> {
  const row = await db
    .selectFrom("user_sessions")
    .selectAll()
    .select(sql<boolean>`last_used_at < clock_timestamp() - ${milliseconds(TOUCH_EVERY_MS)}`.as("is_stale"))
    .where("secret_sha256", "=", Buffer.from(secretSha256))
    .where(isLive(idleMs))
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const user = await findUser(db, row.user_id);
  if (user === undefined || user.isDisabled) return undefined;
  if (row.is_stale) {
    await db
      .updateTable("user_sessions")
      .set({ last_used_at: sql<Date>`clock_timestamp()`, address })
      .where("id", "=", row.id)
      .execute();
  }
  return { session: toSession(row), user };
}

/** One session by id. *Shape*: `undefined` once it has ended. */
export async function findSession(db: Executor, id: UserSessionId, idleMs: number): Promise<UserSession | undefined> {
  const row = await db
    .selectFrom("user_sessions")
    .selectAll()
    .where("id", "=", id)
    .where(isLive(idleMs))
    .executeTakeFirst();
  return row && toSession(row);
}

/** A user's sessions, newest first. */
export async function listSessions(
  db: Executor,
  userId: UserId,
  part: ListPart<AgePosition<UserSessionId>>,
  idleMs: number,
): Promise<readonly UserSession[]> {
  let sessions = db.selectFrom("user_sessions").selectAll().where("user_id", "=", userId).where(isLive(idleMs));
  if (part.after !== undefined) {
    sessions = sessions.where(sql<boolean>`(created_at, id) < (${part.after.createdAt}, ${part.after.id}::uuid)`);
  }
  const rows = await sessions.orderBy("created_at", "desc").orderBy("id", "desc").limit(part.limit).execute();
  return rows.map(toSession);
}

/** Roles of the users of those sessions that live. */
export async function listSessionRoles(
  db: Executor,
  ids: readonly UserSessionId[],
  idleMs: number,
): Promise<readonly { readonly id: UserSessionId; readonly role: UserRole }[]> {
  if (ids.length === 0) return [];
  return db
    .selectFrom("user_sessions")
    .innerJoin("users", "users.id", "user_sessions.user_id")
    .select(["user_sessions.id", "users.role"])
    .where("user_sessions.id", "in", [...ids])
    .where("users.disabled_at", "is", null)
    .where(isLive(idleMs))
    .execute();
}

/** Ends a session. *Shape*: false when it had ended. */
export async function deleteSession(tx: Transaction<Db>, id: UserSessionId): Promise<boolean> {
  const row = await tx.deleteFrom("user_sessions").where("id", "=", id).returning("id").executeTakeFirst();
  return row !== undefined;
}

/** Ends every session of a user. */
export async function deleteSessionsOf(tx: Transaction<Db>, userId: UserId): Promise<void> {
  await tx.deleteFrom("user_sessions").where("user_id", "=", userId).execute();
}

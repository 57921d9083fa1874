/** Tokens of programs. Only their hashes are stored; whether one counts is decided by the database's clock. */
import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import type { ApiTokenId, UserId } from "../domain/ids.ts";
import type { AgePosition, ListPart } from "../domain/list-part.ts";
import { lesserRole, type ApiToken, type UserRole } from "../domain/user.ts";
import type { ApiTokensTable } from "./account-schema.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** A token's last use is noted this coarsely, so that reading writes next to nothing. */
const TOUCH_EVERY_MS = 60_000;

function toApiToken(row: Selectable<ApiTokensTable>): ApiToken {
  return {
    id: row.id,
    label: row.label,
    role: row.role,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  };
}

/** Tokens that count, each beside the role that its creator has by now. */
function liveTokens(db: Executor) {
  return db
    .selectFrom("api_tokens")
    .leftJoin("users", "users.id", "api_tokens.creator_id")
    .select("users.role as creator_role")
    .where("api_tokens.revoked_at", "is", null)
    .where("api_tokens.expires_at", ">", sql<Date>`clock_timestamp()`)
    .where("users.disabled_at", "is", null);
}

function effectiveRole(role: UserRole, creatorRole: UserRole | null): UserRole {
  return creatorRole === null ? role : lesserRole(role, creatorRole);
}

/** Adds a token. */
export async function insertApiToken(
  tx: Transaction<Db>,
  token: {
    readonly id: ApiTokenId;
    readonly secretSha256: Uint8Array;
    readonly label: string;
    readonly role: UserRole;
    readonly createdBy: string;
    readonly creatorId: UserId | null;
    readonly lifeMs: number;
  },
): Promise<ApiToken> {
  const row = await tx
    .insertInto("api_tokens")
    .values({
      id: token.id,
      secret_sha256: Buffer.from(token.secretSha256),
      label: token.label,
      role: token.role,
      created_by: token.createdBy,
      creator_id: token.creatorId,
      expires_at: sql<Date>`clock_timestamp() + ${milliseconds(token.lifeMs)}`,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toApiToken(row);
}

/**
 * Finds a token by its secret and notes, to the minute, that it was used. Its role is never more than its
 * creator's.
 *
 * *Shape*: `undefined` for one that is unknown, expired or revoked, or whose creator is disabled.
 */
export async function useApiToken(
  db: Executor,
  secretSha256: Uint8Array,
): Promise<{ readonly token: ApiToken; readonly creatorId: UserId | null } | undefined> {
  const row = await liveTokens(db)
    .selectAll("api_tokens")
    .select(
      sql<boolean>`coalesce(api_tokens.last_used_at < clock_timestamp() - ${milliseconds(TOUCH_EVERY_MS)}, true)`.as(
        "is_stale",
      ),
    )
    .where("api_tokens.secret_sha256", "=", Buffer.from(secretSha256))
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.is_stale) {
    await db
      .updateTable("api_tokens")
      .set({ last_used_at: sql<Date>`clock_timestamp()` })
      .where("id", "=", row.id)
      .execute();
  }
  const token = { ...toApiToken(row), role: effectiveRole(row.role, row.creator_role) };
  return { token, creatorId: row.creator_id };
}

/** Roles of those tokens that count. */
export async function listTokenRoles(
  db: Executor,
  ids: readonly ApiTokenId[],
): Promise<readonly { readonly id: ApiTokenId; readonly role: UserRole }[]> {
  if (ids.length === 0) return [];
  const rows = await liveTokens(db)
    .select(["api_tokens.id", "api_tokens.role"])
    .where("api_tokens.id", "in", [...ids])
    .execute();
  return rows.map((row) => ({ id: row.id, role: effectiveRole(row.role, row.creator_role) }));
}

/** Newest first, those that ended too. */
export async function listApiTokens(
  db: Executor,
  part: ListPart<AgePosition<ApiTokenId>>,
): Promise<readonly ApiToken[]> {
  let tokens = db.selectFrom("api_tokens").selectAll();
  if (part.after !== undefined) {
    tokens = tokens.where(sql<boolean>`(created_at, id) < (${part.after.createdAt}, ${part.after.id}::uuid)`);
  }
  const rows = await tokens.orderBy("created_at", "desc").orderBy("id", "desc").limit(part.limit).execute();
  return rows.map(toApiToken);
}

/** Revokes a token for ever. *Shape*: `isChanged` is false for one that was revoked before; `undefined` if unknown. */
export async function revokeApiToken(
  tx: Transaction<Db>,
  id: ApiTokenId,
): Promise<{ readonly token: ApiToken; readonly isChanged: boolean } | undefined> {
  const found = await tx.selectFrom("api_tokens").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (found === undefined) return undefined;
  if (found.revoked_at !== null) return { token: toApiToken(found), isChanged: false };
  const row = await tx
    .updateTable("api_tokens")
    .set({ revoked_at: sql<Date>`clock_timestamp()` })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  return { token: toApiToken(row), isChanged: true };
}

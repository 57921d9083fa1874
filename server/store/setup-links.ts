/** One-time links by which people set their first password. Only their hashes are stored. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { UserId } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** Stores a link in place of every older one for the same user, and tells when it expires. */
export async function replaceSetupLink(
  tx: Transaction<Db>,
  link: {
    readonly tokenSha256: Uint8Array;
    readonly userId: UserId | null;
    readonly createdBy: string;
    readonly lifeMs: number;
  },
): Promise<Date> {
  await tx.deleteFrom("setup_links").where("user_id", "is not distinct from", link.userId).execute();
  const row = await tx
    .insertInto("setup_links")
    .values({
      token_sha256: Buffer.from(link.tokenSha256),
      user_id: link.userId,
      created_by: link.createdBy,
      expires_at: sql<Date>`clock_timestamp() + ${milliseconds(link.lifeMs)}`,
    })
    .returning("expires_at")
    .executeTakeFirstOrThrow();
  return row.expires_at;
}

/** Whom a link is for. *Shape*: `undefined` when it is unknown, used or expired; no name for the first admin. */
export async function findSetupLink(
  db: Executor,
  tokenSha256: Uint8Array,
): Promise<{ readonly userId: UserId | null; readonly username: string | null; readonly expiresAt: Date } | undefined> {
  const row = await db
    .selectFrom("setup_links")
    .leftJoin("users", "users.id", "setup_links.user_id")
    .select(["setup_links.user_id", "users.username", "setup_links.expires_at"])
    .where("token_sha256", "=", Buffer.from(tokenSha256))
    .where("expires_at", ">", sql<Date>`clock_timestamp()`)
    .executeTakeFirst();
  return row && { userId: row.user_id, username: row.username, expiresAt: row.expires_at };
}

/** Uses a link up: of two who try, one gets it. *Shape*: `undefined` when it is unknown, used or expired. */
export async function takeSetupLink(
  tx: Transaction<Db>,
  tokenSha256: Uint8Array,
): Promise<{ readonly userId: UserId | null } | undefined> {
  const row = await tx
    .deleteFrom("setup_links")
    .where("token_sha256", "=", Buffer.from(tokenSha256))
    .where("expires_at", ">", sql<Date>`clock_timestamp()`)
    .returning("user_id")
    .executeTakeFirst();
  return row && { userId: row.user_id };
}

/** Voids a user's link. */
export async function deleteSetupLinks(tx: Transaction<Db>, userId: UserId): Promise<void> {
  await tx.deleteFrom("setup_links").where("user_id", "=", userId).execute();
}

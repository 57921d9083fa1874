/** One-time tokens. Only their hashes are stored. */
import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import type { EnrollmentToken } from "../domain/enrollment-token.ts";
import type { Labels } from "../domain/labels.ts";
import type { HostId } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { Db, EnrollmentTokensTable } from "./schema.ts";

/** A token about to be stored. */
export interface NewEnrollmentToken {
  readonly id: string;
  readonly tokenSha256: Uint8Array;
  readonly label: string;
  readonly maxUses: number;
  readonly validForMs: number;
  readonly createdBy: string;
  readonly labels: Labels;
  readonly replacesHostId: HostId | null;
}

/** Stores a token and tells when it expires. */
export async function insertEnrollmentToken(
  db: Kysely<Db> | Transaction<Db>,
  token: NewEnrollmentToken,
): Promise<Date> {
  const row = await db
    .insertInto("enrollment_tokens")
    .values({
      id: token.id,
      token_sha256: Buffer.from(token.tokenSha256),
      label: token.label,
      max_uses: token.maxUses,
      created_by: token.createdBy,
      labels: JSON.stringify(token.labels),
      replaces_host_id: token.replacesHostId,
      expires_at: sql<Date>`clock_timestamp() + ${milliseconds(token.validForMs)}`,
    })
    .returning("expires_at")
    .executeTakeFirstOrThrow();
  return row.expires_at;
}

/** Whether a host could enrol with a token now. It is not used. */
export async function isUsableToken(db: Kysely<Db>, tokenSha256: Uint8Array): Promise<boolean> {
  const row = await db
    .selectFrom("enrollment_tokens")
    .select("id")
    .where("token_sha256", "=", Buffer.from(tokenSha256))
    .where("revoked_at", "is", null)
    .where("expires_at", ">", sql<Date>`clock_timestamp()`)
    .where(sql<boolean>`uses < max_uses`)
    .executeTakeFirst();
  return row !== undefined;
}

/** Uses a token once. `undefined` when it is unknown, used up, expired or revoked. */
export async function useEnrollmentToken(
  tx: Transaction<Db>,
  tokenSha256: Uint8Array,
): Promise<EnrollmentToken | undefined> {
  const row = await tx
    .updateTable("enrollment_tokens")
    .set({ uses: sql<number>`uses + 1` })
    .where("token_sha256", "=", Buffer.from(tokenSha256))
    .where("revoked_at", "is", null)
    .where("expires_at", ">", sql<Date>`clock_timestamp()`)
    .where(sql<boolean>`uses < max_uses`)
    .returningAll()
    .executeTakeFirst();
  return row && toToken(row);
}

/** Every token, newest first. */
export async function listEnrollmentTokens(db: Kysely<Db>): Promise<readonly EnrollmentToken[]> {
  const rows = await db
    .selectFrom("enrollment_tokens")
    .selectAll()
    .orderBy("created_at", "desc")
    .orderBy("id")
    .execute();
  return rows.map(toToken);
}

/** Revokes a token; the first time stays. `undefined` when it is unknown. */
export async function revokeEnrollmentToken(tx: Transaction<Db>, id: string): Promise<EnrollmentToken | undefined> {
  const row = await tx
    .updateTable("enrollment_tokens")
    .set({ revoked_at: sql<Date>`coalesce(revoked_at, clock_timestamp())` })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirst();
  return row && toToken(row);
}

function toToken(row: Selectable<EnrollmentTokensTable>): EnrollmentToken {
  return {
    id: row.id,
    label: row.label,
    maxUses: row.max_uses,
    uses: row.uses,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    labels: row.labels,
    replacesHostId: row.replaces_host_id,
  };
}

/** Users, sessions and tokens, put straight into a test's database. */
import { randomBytes, randomUUID } from "node:crypto";
import { digestSecret } from "../../server/account/secrets.ts";
import { hashPassword } from "../../server/account/password-hash.ts";
import { SESSION_LIFE } from "../../server/account/session-life.ts";
import type { ApiTokenId, UserId, UserSessionId } from "../../server/domain/ids.ts";
import type { UserRole } from "../../server/domain/user.ts";
import { createAccountStore } from "../../server/store/account-store.ts";
import type { TestDatabase } from "./test-database.ts";

export const PASSWORD = "correct horse battery";

let passwordHash: Promise<string> | undefined;

/** A user whose password is PASSWORD. */
export async function addUser(database: Pick<TestDatabase, "db">, username: string, role: UserRole): Promise<UserId> {
  passwordHash ??= hashPassword(PASSWORD, { uuid: randomUUID, bytes: (length) => randomBytes(length) });
  const hash = await passwordHash;
  const id = randomUUID() as UserId;
  await storeOf(database).transaction((tx) =>
    tx.insertUser({ id, username, role, passwordHash: hash, createdBy: "test" }),
  );
  return id;
}

/** A session of the user, as its secret. */
export async function addSession(
  database: Pick<TestDatabase, "db">,
  userId: UserId,
): Promise<{ readonly id: UserSessionId; readonly secret: string }> {
  const id = randomUUID() as UserSessionId;
  const secret = `rc_session_${randomBytes(32).toString("base64url")}`;
  await storeOf(database).transaction((tx) =>
    tx.insertSession({
      id,
      userId,
      secretSha256: digestSecret(secret),
      address: "127.0.0.1",
      userAgent: "test",
      lifeMs: SESSION_LIFE.absoluteMs,
    }),
  );
  return { id, secret };
}

/** An API token, as its secret. */
export async function addApiToken(
  database: Pick<TestDatabase, "db">,
  role: UserRole,
  options: { readonly lifeMs?: number; readonly creatorId?: UserId } = {},
): Promise<{ readonly id: ApiTokenId; readonly secret: string }> {
  const id = randomUUID() as ApiTokenId;
  const secret = `rc_api_${randomBytes(32).toString("base64url")}`;
  await storeOf(database).transaction((tx) =>
    tx.insertApiToken({
      id,
      secretSha256: digestSecret(secret),
      label: `${role} of a test`,
      role,
      createdBy: "test",
      creatorId: options.creatorId ?? null,
      lifeMs: options.lifeMs ?? 3_600_000,
    }),
  );
  return { id, secret };
}

function storeOf(database: Pick<TestDatabase, "db">) {
  return createAccountStore(database.db, SESSION_LIFE.idleMs);
}

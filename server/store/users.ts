import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import type { ListPart } from "../domain/list-part.ts";
import type { UserId } from "../domain/ids.ts";
import type { User, UserRole } from "../domain/user.ts";
import type { UsersTable } from "./account-schema.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** A user and the hash that their password is checked against. */
export interface StoredCredentials {
  readonly user: User;
  readonly passwordHash: string | null;
}

/** Names of advisory locks are numbers; this one is nobody else's in this database. */
const ACCOUNTS_LOCK = 7_170_001;

/** Waits until no other transaction changes who there is and what they may. */
export async function lockAccounts(tx: Transaction<Db>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${ACCOUNTS_LOCK})`.execute(tx);
}

/** A row as the domain sees it. */
function toUser(row: Selectable<UsersTable>): User {
  return {
    id: row.id,
    username: row.username,
    role: row.role,
    isSetUp: row.password_hash !== null,
    isDisabled: row.disabled_at !== null,
    createdAt: row.created_at,
    createdBy: row.created_by,
    lastLoginAt: row.last_login_at,
  };
}

/** True once there is anybody, disabled ones included. */
export async function hasUsers(db: Executor): Promise<boolean> {
  return (await db.selectFrom("users").select("id").limit(1).executeTakeFirst()) !== undefined;
}

/** By name, however it is capitalised. */
export async function findCredentials(db: Executor, username: string): Promise<StoredCredentials | undefined> {
  const row = await db
    .selectFrom("users")
    .selectAll()
    .where(sql`lower(username)`, "=", sql`lower(${username})`)
    .executeTakeFirst();
  return row && { user: toUser(row), passwordHash: row.password_hash };
}

/** One user by id. */
export async function findUser(db: Executor, id: UserId): Promise<User | undefined> {
  const row = await db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
  return row && toUser(row);
}

/** Locks a user until the transaction ends. */
export async function lockUser(tx: Transaction<Db>, id: UserId): Promise<StoredCredentials | undefined> {
  const row = await tx.selectFrom("users").selectAll().where("id", "=", id).forNoKeyUpdate().executeTakeFirst();
  return row && { user: toUser(row), passwordHash: row.password_hash };
}

/** By name, however it is capitalised. A page begins after a name. */
export async function listUsers(db: Executor, part: ListPart<string>): Promise<readonly User[]> {
  let users = db.selectFrom("users").selectAll();
  if (part.after !== undefined) users = users.where(sql`lower(username)`, ">", sql`lower(${part.after})`);
  const rows = await users.orderBy(sql`lower(username)`).limit(part.limit).execute();
  return rows.map(toUser);
}

/** Everybody of the role admin, in no particular order. */
export async function listAdmins(db: Executor): Promise<readonly User[]> {
  return (await db.selectFrom("users").selectAll().where("role", "=", "admin").execute()).map(toUser);
}

/** Adds a user. *Shape*: `undefined` when the name is taken. */
export async function insertUser(
  tx: Transaction<Db>,
  user: {
    readonly id: UserId;
    readonly username: string;
    readonly role: UserRole;
    readonly passwordHash: string | null;
    readonly createdBy: string;
  },
): Promise<User | undefined> {
  const row = await tx
    .insertInto("users")
    .values({
      id: user.id,
      username: user.username,
      role: user.role,
      password_hash: user.passwordHash,
      created_by: user.createdBy,
    })
    .onConflict((conflict) => conflict.expression(sql`lower(username)`).doNothing())
    .returningAll()
    .executeTakeFirst();
  return row && toUser(row);
}

/** Changes a user that exists: the caller holds its lock. */
export async function updateUser(
  tx: Transaction<Db>,
  id: UserId,
  change: {
    readonly passwordHash?: string | null;
    readonly role?: UserRole;
    readonly isDisabled?: boolean;
  },
): Promise<User> {
  const row = await tx
    .updateTable("users")
    .set({
      ...(change.passwordHash === undefined ? {} : { password_hash: change.passwordHash }),
      ...(change.role === undefined ? {} : { role: change.role }),
      ...(change.isDisabled === undefined
        ? {}
        : { disabled_at: change.isDisabled ? sql<Date>`clock_timestamp()` : null }),
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  return toUser(row);
}

import { readFile } from "node:fs/promises";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { isDatabaseAway } from "../../../server/store/database-away.ts";
import { openDatabase, type DatabaseConnection } from "../../../server/store/open-database.ts";
import { createTestDatabase } from "../../support/test-database.ts";

const open = (
  connection: DatabaseConnection,
  more: { readonly statementTimeoutMs?: number; readonly poolSize?: number } = {},
) => openDatabase({ connection, applicationName: "open-database-test", poolSize: 2, ...more });

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => expect.fail("it should have failed"),
    (error: unknown) => error,
  );
}

test("int8 is read as bigint and timestamptz as Date, by socket and by URL", async () => {
  await using database = await createTestDatabase();
  for (const connection of [database.connection, { kind: "url", url: database.url } as const]) {
    const db = open(connection);
    const { rows } = await sql`select 9007199254740993 as big, 7::int4 as small, to_timestamp(0) as at,
      current_user::text as me, current_setting('application_name') as application`.execute(db);
    expect(rows).toEqual([
      { big: 9007199254740993n, small: 7, at: new Date(0), me: "rollcall_app", application: "open-database-test" },
    ]);
    await db.destroy();
  }
});

test("every connection carries its limits, and a slow statement ends without the database counting as away", async () => {
  await using database = await createTestDatabase();
  const db = open(database.connection, { statementTimeoutMs: 150 });
  const { rows } =
    await sql`select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
    current_setting('idle_in_transaction_session_timeout') as idle`.execute(db);
  expect(rows).toEqual([{ statement: "150ms", lock: "5s", idle: "30s" }]);
  const error = await failureOf(sql`select pg_sleep(10)`.execute(db));
  expect(error).toMatchObject({ code: "57014" });
  expect(isDatabaseAway(error)).toBe(false);
  await db.destroy();
});

test("connections that break, idle or in a transaction, end no process and are replaced", async () => {
  await using database = await createTestDatabase();
  const lost: Error[] = [];
  const db = openDatabase({
    connection: database.connection,
    applicationName: "to-be-broken",
    poolSize: 2,
    onConnectionLost: (error) => lost.push(error),
  });
  const breakAll = sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'to-be-broken'`;
  const error = await failureOf(
    db.transaction().execute(async (transaction) => {
      await sql`select 1`.execute(transaction);
      await breakAll.execute(database.ownerDb);
      await sql`select 1`.execute(transaction);
    }),
  );
  expect(isDatabaseAway(error)).toBe(true);
  await sql`select 1`.execute(db);
  await breakAll.execute(database.ownerDb);
  await expect.poll(() => lost.length).toBeGreaterThan(0);
  expect((await sql`select 1 as one`.execute(db)).rows).toEqual([{ one: 1 }]);
  await db.destroy();
});

test("a database that can't be reached is away; a mistake in a statement or a missing file is not", async () => {
  await using database = await createTestDatabase();
  const noSocket = open({ kind: "socket", socketDir: "/nonexistent", user: "rollcall_app", database: "rollcall" });
  expect(isDatabaseAway(await failureOf(sql`select 1`.execute(noSocket)))).toBe(true);
  await noSocket.destroy();
  const closedPort = open({ kind: "url", url: "postgresql://user:secret@localhost:1/rollcall" });
  expect(isDatabaseAway(await failureOf(sql`select 1`.execute(closedPort)))).toBe(true);
  await closedPort.destroy();
  expect(isDatabaseAway(await failureOf(sql`select 1/0`.execute(database.db)))).toBe(false);
  expect(isDatabaseAway(await failureOf(readFile("/nonexistent")))).toBe(false);
  expect(isDatabaseAway(new Error("outer", { cause: Object.assign(new Error("inner"), { code: "ECONNRESET" }) }))).toBe(
    true,
  );
});

test("an address that is none is refused without repeating it", () => {
  const refused = () => open({ kind: "url", url: "mysql://user:secret@host/rollcall" });
  expect(refused).toThrow("ROLLCALL_DATABASE_URL must look like postgres://user:password@host:5432/database");
  expect(refused).not.toThrow(/secret/);
});

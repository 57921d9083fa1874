import { sql } from "kysely";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../support/test-database.ts";

test("each test gets a database of its own, empty and migrated", async () => {
  await using one = await createTestDatabase();
  await using other = await createTestDatabase();
  await sql`insert into replicas (id) values ('first')`.execute(one.db);
  const count = async ({ db }: typeof one) =>
    (
      await db
        .selectFrom("replicas")
        .select((select) => select.fn.countAll<bigint>().as("count"))
        .executeTakeFirstOrThrow()
    ).count;
  expect(await count(one)).toBe(1n);
  expect(await count(other)).toBe(0n);
});

test("the application's role changes rows and no tables", async () => {
  await using database = await createTestDatabase();
  await expect(sql`create table mine (id int)`.execute(database.db)).rejects.toThrow(/permission denied/);
  await expect(sql`create temporary table mine (id int)`.execute(database.db)).rejects.toThrow(/permission denied/);
  await expect(sql`drop table hosts`.execute(database.db)).rejects.toThrow(/must be owner/);
  await sql`create table owned (id int)`.execute(database.ownerDb);
});

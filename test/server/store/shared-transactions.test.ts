import { sql, type Kysely, type Transaction } from "kysely";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { HostId } from "../../../server/domain/ids.ts";
import type { Db } from "../../../server/store/schema.ts";
import { SharedTransactions } from "../../../server/store/shared-transactions.ts";
import { realClock } from "../../support/real-clock.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const database: TestDatabase = await createTestDatabase();
await sql`create table notes (host text, text text check (text <> 'bad'))`.execute(database.ownerDb);
await sql`grant all on notes to public`.execute(database.ownerDb);
beforeEach(() => sql`delete from notes`.execute(database.ownerDb));
afterAll(() => database[Symbol.asyncDispose]());

type Tx = Transaction<Db>;

/** Shared transactions on the test's database, and how many were begun. */
function share() {
  const begun = { count: 0 };
  const shared = new SharedTransactions<Tx>((work) => {
    begun.count += 1;
    return database.db.transaction().execute(work);
  }, realClock);
  const run = <Result>(host: string, work: (tx: Tx) => Promise<Result>) => shared.run(host as HostId, work);
  return { run, begun };
}

const note = (tx: Kysely<Db>, host: string, text: string) =>
  sql`insert into notes values (${host}, ${text})`.execute(tx);

async function noted(): Promise<readonly string[]> {
  const { rows } = await sql<{ line: string }>`
    select host || ' ' || text as line from notes order by line
  `.execute(database.db);
  return rows.map(({ line }) => line);
}

const HOSTS = Array.from({ length: 20 }, (_, index) => `h${String(index).padStart(2, "0")}`);

describe("works about different hosts", () => {
  test("share a transaction when they come at one time", async () => {
    const { run, begun } = share();
    const results = await Promise.all(HOSTS.map((host) => run(host, (tx) => note(tx, host, "seen").then(() => host))));
    expect(results).toEqual(HOSTS);
    expect(await noted()).toEqual(HOSTS.map((host) => `${host} seen`));
    expect(begun.count).toBe(1);
  });

  test("are not undone by one that throws, which leaves nothing behind", async () => {
    const { run } = share();
    const outcomes = await Promise.allSettled(
      HOSTS.map((host, index) =>
        run(host, async (tx) => {
          await note(tx, host, "seen");
          if (index % 5 === 0) throw new Error(`not ${host}`);
        }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(4);
    expect(await noted()).toEqual(HOSTS.filter((_, index) => index % 5 !== 0).map((host) => `${host} seen`));
  });

  test("are not undone by a statement that the database refuses", async () => {
    const { run } = share();
    const outcomes = await Promise.allSettled(
      HOSTS.map((host, index) => run(host, (tx) => note(tx, host, index === 7 ? "bad" : "seen"))),
    );
    expect(outcomes.flatMap(({ status }, index) => (status === "rejected" ? [index] : []))).toEqual([7]);
    expect(await noted()).toHaveLength(HOSTS.length - 1);
  });
});

test("of one host, works run one after the other, in the order they came", async () => {
  const { run, begun } = share();
  const order: string[] = [];
  const work = (name: string) =>
    run("h", async (tx) => {
      order.push(`${name} begins`);
      await note(tx, "h", name);
      order.push(`${name} ends`);
    });
  await Promise.all([work("first"), work("second"), work("third")]);
  expect(order).toEqual(["first", "second", "third"].flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(begun.count).toBe(3);
});

test("what nobody may know the outcome of is told to all, and not done again", async () => {
  let begun = 0;
  const shared = new SharedTransactions<Tx>((work) => {
    begun += 1;
    return database.db.transaction().execute(async (tx) => {
      await work(tx);
      await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx);
    }) as Promise<never>;
  }, realClock);
  const outcomes = await Promise.allSettled(
    HOSTS.map((host) => shared.run(host as HostId, (tx) => note(tx, host, "seen"))),
  );
  expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
  expect(begun).toBe(1);
  expect(await noted()).toEqual([]);
});

/** The chain of seals: what it covers, and what rewriting the audit log does to it. */
import { sql } from "kysely";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { createAuditSealStore } from "../../../server/store/audit-seals.ts";
import { writeAuditEvent } from "../../../server/store/audit-events.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

let database: TestDatabase;
let seals: ReturnType<typeof createAuditSealStore>;
beforeEach(async () => {
  database = await createTestDatabase();
  seals = createAuditSealStore(database.db);
});
afterEach(() => database[Symbol.asyncDispose]());
afterAll(async () => expect(await findOpenSockets()).toEqual([]));

type Executor = Parameters<typeof writeAuditEvent>[0];

const write = (db: Executor = database.db) =>
  writeAuditEvent(db, { actor: "ada", action: "host.enrolled", cause: "a test", details: { ä: "ö", n: 1.5 } });

/** Writes `count` events and seals them. */
async function sealEvents(count: number): Promise<void> {
  for (let written = 0; written < count; written += 1) await write();
  const bound = await seals.findBound();
  expect(bound?.writers).toEqual([]);
  await seals.seal(bound?.toId ?? 0n);
}

describe("the audit log", () => {
  test.each(["audit_events", "audit_seals"])(
    "has in %s what its owner can neither change nor delete either",
    async (table) => {
      await sealEvents(1);
      for (const statement of [`update ${table} set id = default`, `delete from ${table}`, `truncate ${table}`]) {
        // 42501 insufficient_privilege.
        await expect(sql.raw(statement).execute(database.ownerDb)).rejects.toMatchObject({ code: "42501" });
        await expect(sql.raw(statement).execute(database.db)).rejects.toMatchObject({ code: "42501" });
      }
      expect((await seals.check()).broken).toBeUndefined();
    },
  );

  test("without events has no seal, and nothing is broken", async () => {
    expect(await seals.findBound()).toBeUndefined();
    expect(await seals.check()).toEqual({ head: undefined, broken: undefined });
  });

  test("is sealed range after range, and sealing what is sealed does nothing", async () => {
    await sealEvents(2);
    const first = (await seals.check()).head;
    expect(first).toMatchObject({ fromId: 1n, toId: 2n });
    expect(await seals.seal(2n)).toEqual(first);
    await sealEvents(3);
    expect(await seals.check()).toMatchObject({ head: { fromId: 3n, toId: 5n }, broken: undefined });
  });

  test("is not sealed past an id that somebody may still add", async () => {
    const goOn = Promise.withResolvers<void>();
    const written = Promise.withResolvers<void>();
    const slow = database.db.transaction().execute(async (tx) => {
      await write(tx);
      written.resolve();
      await goOn.promise;
    });
    await written.promise;
    await write();
    const bound = await seals.findBound();
    expect(bound?.toId).toBe(2n);
    expect(bound?.writers).toHaveLength(1);
    expect(await seals.hasEnded(bound?.writers ?? [])).toBe(false);
    goOn.resolve();
    await slow;
    expect(await seals.hasEnded(bound?.writers ?? [])).toBe(true);
    await seals.seal(2n);
    expect(await seals.check()).toMatchObject({ head: { toId: 2n }, broken: undefined });
  });

  test("may have ids that were never written", async () => {
    await write();
    await database.db
      .transaction()
      .execute(async (tx) => {
        await write(tx);
        throw new Error("rolled back");
      })
      .catch(() => undefined);
    await sealEvents(1);
    expect(await seals.check()).toMatchObject({ head: { fromId: 1n, toId: 3n }, broken: undefined });
  });

  test("is sealed once when several servers do it at once", async () => {
    for (let count = 0; count < 5; count += 1) await write();
    const heads = await Promise.all(Array.from({ length: 6 }, () => seals.seal(5n)));
    expect(new Set(heads.map((head) => head?.digest)).size).toBe(1);
    expect(await seals.check()).toMatchObject({ head: { fromId: 1n, toId: 5n }, broken: undefined });
  });

  test("that is long is sealed in ranges that are soon checked", async () => {
    await sql`insert into audit_events (actor, action, cause) select 'ada', 'x', 'x' from generate_series(1, 12000)`.execute(
      database.db,
    );
    await seals.seal(12_000n);
    const { rows } = await sql`select from_id, to_id from audit_seals order by 1`.execute(database.db);
    expect(rows).toEqual([
      { from_id: 1n, to_id: 5_000n },
      { from_id: 5_001n, to_id: 10_000n },
      { from_id: 10_001n, to_id: 12_000n },
    ]);
    expect((await seals.check()).broken).toBeUndefined();
  });

  test("has more seals than are compared at once", async () => {
    for (let count = 0; count < 205; count += 1) await sealEvents(1);
    expect(await seals.check()).toMatchObject({ head: { toId: 205n }, broken: undefined });
    await asOwner(`update audit_events set actor = 'eve' where id = 150`);
    expect((await seals.check()).broken).toMatchObject({ fromId: 150n, toId: 150n });
  });
});

/** As somebody who owns the tables and takes the triggers off. */
async function asOwner(statement: string): Promise<void> {
  const tables = ["audit_events", "audit_seals"];
  for (const table of tables) await sql.raw(`alter table ${table} disable trigger user`).execute(database.ownerDb);
  await sql.raw(statement).execute(database.ownerDb);
  for (const table of tables) await sql.raw(`alter table ${table} enable trigger user`).execute(database.ownerDb);
}

describe("a check tells the first seal that does not fit", () => {
  test.each([
    ["an event has another actor", `update audit_events set actor = 'eve' where id = 4`, 3n],
    ["an event has another time", `update audit_events set at = at + interval '1 microsecond' where id = 4`, 3n],
    ["an event has other details", `update audit_events set details = '{}' where id = 3`, 3n],
    ["an event has another host", `update audit_events set host_id = gen_random_uuid() where id = 6`, 5n],
    ["an event is gone", `delete from audit_events where id = 1`, 1n],
    ["all events of a seal are gone", `delete from audit_events where id in (3, 4)`, 3n],
    [
      "an event was put before all others",
      `insert into audit_events (id, actor, action, cause) overriding system value values (-7, 'eve', 'x', 'x')`,
      1n,
    ],
    [
      "two events changed places in time",
      `update audit_events e set at = o.at from audit_events o where (e.id, o.id) in ((3, 4), (4, 3))`,
      3n,
    ],
    ["a seal has another digest", `update audit_seals set digest = sha256('x') where from_id = 3`, 3n],
    ["a seal begins elsewhere", `update audit_seals set from_id = 4 where from_id = 3`, 4n],
    ["a seal between others is gone", `delete from audit_seals where from_id = 3`, 5n],
    ["the first seal is gone", `delete from audit_seals where from_id = 1`, 3n],
  ])("when %s", async (_what, statement, fromId) => {
    for (let count = 0; count < 3; count += 1) await sealEvents(2);
    expect((await seals.check()).broken).toBeUndefined();
    await asOwner(statement);
    const { broken } = await seals.check();
    expect(broken?.fromId).toBe(fromId);
  });

  test("and a chain that was made anew does not have the seals that were written down", async () => {
    for (let count = 0; count < 3; count += 1) await sealEvents(2);
    const digest = (await seals.check()).head?.digest ?? "";
    expect(await seals.hasSeal(digest)).toBe(true);
    await asOwner(`delete from audit_seals; update audit_events set actor = 'eve' where id = 2`);
    await seals.seal(6n);
    expect((await seals.check()).broken).toBeUndefined();
    expect(await seals.hasSeal(digest)).toBe(false);
  });
});

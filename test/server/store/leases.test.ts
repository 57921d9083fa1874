import { sql } from "kysely";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { ReplicaId } from "../../../server/domain/ids.ts";
import { holdLease, isLeaseInForce, releaseLease } from "../../../server/store/leases.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const LEASE = "test";
const LIFE_MS = 400;
const LONG_MS = 60_000;
const [ADA, BOB] = ["ada", "bob"] as ReplicaId[] as [ReplicaId, ReplicaId];

const database: TestDatabase = await createTestDatabase();
const { db } = database;
beforeEach(() => db.deleteFrom("leases").execute());
afterAll(() => database[Symbol.asyncDispose]());

const isInForce = (holder: ReplicaId, epoch: bigint) =>
  db.transaction().execute((tx) => isLeaseInForce(tx, LEASE, holder, epoch, LONG_MS));

test("one holds a lease until it gives it up; each new holder has a higher epoch", async () => {
  expect(await holdLease(db, LEASE, ADA, LONG_MS)).toBe(1n);
  expect(await holdLease(db, LEASE, BOB, LONG_MS)).toBeUndefined();
  expect(await holdLease(db, LEASE, ADA, LONG_MS)).toBe(1n);
  await releaseLease(db, LEASE, BOB);
  expect(await isInForce(ADA, 1n)).toBe(true);
  await releaseLease(db, LEASE, ADA);
  expect(await isInForce(ADA, 1n)).toBe(false);
  expect(await holdLease(db, LEASE, BOB, LONG_MS)).toBe(2n);
  expect([await isInForce(ADA, 1n), await isInForce(ADA, 2n), await isInForce(BOB, 2n)]).toEqual([false, false, true]);
});

test("a holder whose lease ran out gets a new epoch itself: another may have acted meanwhile", async () => {
  await holdLease(db, LEASE, ADA, 0);
  expect(await holdLease(db, LEASE, ADA, LONG_MS)).toBe(2n);
});

test("a lease that was waited for lasts its whole life from when it was got", async () => {
  await holdLease(db, LEASE, ADA, LONG_MS);
  const asked = await db.transaction().execute(async (tx) => {
    await tx.updateTable("leases").set({ expires_at: sql<Date>`clock_timestamp()` }).execute();
    const waiting = holdLease(db, LEASE, BOB, LIFE_MS);
    // Held for longer than the lease that is asked for.
    await sql`select pg_sleep(${(2 * LIFE_MS) / 1000})`.execute(tx);
    return { waiting };
  });
  expect(await asked.waiting).toBe(2n);
  const { rows } = await sql<{ left: boolean }>`select expires_at > clock_timestamp() as left from leases`.execute(db);
  expect(rows).toEqual([{ left: true }]);
});

test("a transaction that checked a lease and stands still is ended, and keeps it from nobody", async () => {
  await holdLease(db, LEASE, ADA, LIFE_MS);
  const over = Promise.withResolvers<void>();
  const frozen = db.transaction().execute(async (tx) => {
    expect(await isLeaseInForce(tx, LEASE, ADA, 1n, LIFE_MS)).toBe(true);
    await over.promise;
    await tx.deleteFrom("leases").execute();
  });
  const failure = frozen.then(
    () => "",
    (error: unknown) => String(error),
  );
  let epoch: bigint | undefined;
  while (epoch === undefined) epoch = await holdLease(db, LEASE, BOB, LONG_MS);
  over.resolve();
  expect(await failure).toMatch(/terminat|not queryable|idle-in-transaction/);
  expect(epoch).toBe(2n);
  expect(await isInForce(BOB, 2n)).toBe(true);
});

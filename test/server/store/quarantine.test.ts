import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { DEFAULT_DURATIONS } from "../../../server/domain/durations.ts";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { insertJobs, saveJobStates } from "../../../server/store/jobs.ts";
import { liftQuarantine, noteRollback } from "../../../server/store/quarantine.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const SHA256 = "ab".repeat(32);

/** A job whose commit was recorded, of a host of its own. */
async function addCommittedJob({ db }: TestDatabase): Promise<JobId> {
  const hostId = randomUUID() as HostId;
  const id = randomUUID() as JobId;
  await insertHost(db, { id: hostId, hostname: "h", os: "linux", arch: "x64" });
  const versions = { fromVersion: "1", toVersion: "2", manifestSha256: new Uint8Array(32), artifactSha256: SHA256 };
  const facts = { package: "rollcall-agent", ignoreQuarantine: false, fleetUpdateId: null, requestedBy: "test" };
  await insertJobs(db, [{ id, hostId, ...versions, ...facts }], DEFAULT_DURATIONS);
  const restarting = { id, state: { name: "restarting" }, isProgress: false } as const;
  await db.transaction().execute((tx) => saveJobStates(tx, [restarting], 0));
  return id;
}

async function untilSomebodyWaits({ db }: TestDatabase): Promise<void> {
  const waiting = async () => {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    `.execute(db);
    return rows.length;
  };
  await expect.poll(waiting).toBeGreaterThan(0);
}

test("two hosts that go back at one moment are counted as two", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  const [one, other] = [await addCommittedJob(database), await addCommittedJob(database)];
  const second = await db.transaction().execute(async (tx) => {
    expect(await noteRollback(tx, one, 2)).toBeUndefined();
    const noted = db.transaction().execute((next) => noteRollback(next, other, 2));
    await untilSomebodyWaits(database);
    return { noted };
  });
  expect(await second.noted).toEqual({ sha256: SHA256, hosts: 2 });
});

test("a rollback that is undone counts nothing", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  const [one, other] = [await addCommittedJob(database), await addCommittedJob(database)];
  const undone = db.transaction().execute(async (tx) => {
    await noteRollback(tx, one, 2);
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
  expect(await db.transaction().execute((tx) => noteRollback(tx, other, 2))).toBeUndefined();
});

test("as many hosts make a quarantine as were asked for, and those after them no second one", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  const note = async () => {
    const id = await addCommittedJob(database);
    return db.transaction().execute((tx) => noteRollback(tx, id, 3));
  };
  expect([await note(), await note(), await note(), await note()]).toEqual([
    undefined,
    undefined,
    { sha256: SHA256, hosts: 3 },
    undefined,
  ]);
  expect(await db.transaction().execute((tx) => liftQuarantine(tx, SHA256))).toEqual({ hosts: 4 });
});

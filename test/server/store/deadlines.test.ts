import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import { graceDeadlines, shiftDeadlines } from "../../../server/store/deadlines.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { insertJob, saveJobState } from "../../../server/store/jobs.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const TIMES = { progressDeadlineMs: 1_000, greatestJobAgeMs: 60_000 };

async function addJob({ db }: TestDatabase): Promise<JobId> {
  const hostId = randomUUID() as HostId;
  const id = randomUUID() as JobId;
  await insertHost(db, { id: hostId, hostname: "h", os: "linux", arch: "x64" });
  const job = {
    id,
    hostId,
    package: "rollcall-agent",
    fromVersion: "1",
    toVersion: "2",
    manifestSha256: new Uint8Array(32),
  };
  await insertJob(db, { ...job, ignoreQuarantine: false, fleetUpdateId: null, requestedBy: "test" }, TIMES);
  return id;
}

async function leftMs({ db }: TestDatabase, id: JobId): Promise<number> {
  const { rows } = await sql<{ left: number }>`
    select (extract(epoch from deadline_at - clock_timestamp()) * 1000)::float8 as left from jobs where id = ${id}
  `.execute(db);
  return rows[0]?.left ?? Number.NaN;
}

test("grace is longer for a job that its host may not have heard of, and takes nothing from anybody", async () => {
  await using database = await createTestDatabase();
  const [dispatched, staged] = [await addJob(database), await addJob(database)];
  await database.db.transaction().execute((tx) => saveJobState(tx, staged, { name: "staged" }, 1_000));
  await graceDeadlines(database.db, { openMs: 30_000, dispatchedMs: 105_000 });
  expect(await leftMs(database, dispatched)).toBeGreaterThan(100_000);
  expect(await leftMs(database, staged)).toBeLessThanOrEqual(30_000);
  expect(await leftMs(database, staged)).toBeGreaterThan(25_000);
  await graceDeadlines(database.db, { openMs: 10, dispatchedMs: 10 });
  expect(await leftMs(database, dispatched)).toBeGreaterThan(95_000);
});

test("a jump of the clock moves open deadlines both ways", async () => {
  await using database = await createTestDatabase();
  const id = await addJob(database);
  const before = await leftMs(database, id);
  await database.db.transaction().execute((tx) => shiftDeadlines(tx, 86_400_000));
  expect((await leftMs(database, id)) - before).toBeGreaterThan(86_390_000);
  await database.db.transaction().execute((tx) => shiftDeadlines(tx, -86_400_000));
  expect(await leftMs(database, id)).toBeLessThanOrEqual(before);
});

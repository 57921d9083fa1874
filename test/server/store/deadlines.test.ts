import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import { absorbClockJump, graceDeadlines } from "../../../server/store/deadlines.ts";
import { findHosts, insertHost } from "../../../server/store/hosts.ts";
import { insertJobs, saveJobStates } from "../../../server/store/jobs.ts";
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
    artifactSha256: "ab".repeat(32),
  };
  await insertJobs(db, [{ ...job, ignoreQuarantine: false, fleetUpdateId: null, requestedBy: "test" }], TIMES);
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
  const toStaged = { id: staged, state: { name: "staged" }, isProgress: true } as const;
  await database.db.transaction().execute((tx) => saveJobStates(tx, [toStaged], 1_000));
  await graceDeadlines(database.db, { openMs: 30_000, dispatchedMs: 105_000 });
  expect(await leftMs(database, dispatched)).toBeGreaterThan(100_000);
  expect(await leftMs(database, staged)).toBeLessThanOrEqual(30_000);
  expect(await leftMs(database, staged)).toBeGreaterThan(25_000);
  await graceDeadlines(database.db, { openMs: 10, dispatchedMs: 10 });
  expect(await leftMs(database, dispatched)).toBeGreaterThan(95_000);
});

test.each([86_400_000, -86_400_000])(
  "a jump of the clock by %i ms gives open jobs their full time, once or twice",
  async (jumpMs) => {
    await using database = await createTestDatabase();
    const id = await addJob(database);
    // As a clock that jumped leaves them: written before, read after.
    await sql`
    update jobs set deadline_at = deadline_at - make_interval(secs => ${jumpMs / 1000}::float8),
      last_deadline_at = last_deadline_at - make_interval(secs => ${jumpMs / 1000}::float8)
  `.execute(database.db);
    const times = { ...TIMES, offlineAfterMs: 45_000, startGraceMs: 75_000 };
    for (let server = 0; server < 2; server += 1) {
      await database.db.transaction().execute((tx) => absorbClockJump(tx, jumpMs, times));
      expect(await leftMs(database, id)).toBeGreaterThan(0);
      expect(await leftMs(database, id)).toBeLessThanOrEqual(TIMES.progressDeadlineMs);
    }
  },
);

test("a jump of the clock calls nobody offline who was not, and nobody back who was", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  const hosts = { leaving: randomUUID() as HostId, gone: randomUUID() as HostId };
  for (const id of Object.values(hosts)) await insertHost(db, { id, hostname: "h", os: "linux", arch: "x64" });
  const isOnline = async (id: HostId) => (await findHosts(db, [id]))[0]?.isOnline;
  for (const jumpMs of [86_400_000, -86_400_000]) {
    // The clock as it was stood this far from the clock as it is.
    const offset = sql`make_interval(secs => ${-jumpMs / 1000}::float8)`;
    await sql`update hosts set offline_at = clock_timestamp() + ${offset} + interval '20 seconds' where id = ${hosts.leaving}`.execute(
      db,
    );
    await sql`update hosts set offline_at = clock_timestamp() + ${offset} - interval '1 hour' where id = ${hosts.gone}`.execute(
      db,
    );
    const times = { ...TIMES, offlineAfterMs: 45_000, startGraceMs: 75_000 };
    for (let server = 0; server < 2; server += 1)
      await db.transaction().execute((tx) => absorbClockJump(tx, jumpMs, times));
    expect(await isOnline(hosts.leaving)).toBe(true);
    expect(await isOnline(hosts.gone)).toBe(false);
  }
});

import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import type { JobState } from "../../../server/domain/job-state.ts";
import { addDelivered, renewWaitingJobs, sumDeliveries } from "../../../server/store/deliveries.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { findJob, insertJobs, lockJobs, saveJobStates } from "../../../server/store/jobs.ts";
import { insertRelease } from "../../../server/store/releases.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const SIZE = 1_000_000;
const PROGRESS_DEADLINE_MS = 90_000;

/** A job in this state, with so much time left and so much until its greatest age. */
async function addJob(database: TestDatabase, state: JobState, leftMs = 1_000, ageLeftMs = 3_600_000): Promise<JobId> {
  const { db } = database;
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
    ignoreQuarantine: false,
    fleetUpdateId: null,
    requestedBy: "test",
  };
  await insertJobs(db, [job], { progressDeadlineMs: leftMs, greatestJobAgeMs: ageLeftMs });
  if (state.name !== "dispatched") await saveState(db, id, state);
  return id;
}

/** Without giving it time. */
async function saveState(db: TestDatabase["db"], id: JobId, state: JobState): Promise<void> {
  await db.transaction().execute((tx) => saveJobStates(tx, [{ id, state, isProgress: false }], 0));
}

async function addRelease({ db }: TestDatabase): Promise<void> {
  await db.transaction().execute((tx) =>
    insertRelease(tx, {
      package: "rollcall-agent",
      version: "2",
      sequence: 2,
      permittedFloor: 0,
      installRevision: 0,
      manifest: Buffer.from("{}"),
      manifestSha256: Buffer.alloc(32),
      signature: Buffer.from("s"),
      keyId: "",
      keyLabel: "",
      isDevelopment: true,
      artifacts: [
        {
          platform: "linux-x64",
          fileName: "rollcall-agent",
          sizeBytes: SIZE,
          sha256: "ab".repeat(32),
          blockSizeBytes: 65_536,
          blockList: Buffer.alloc(32),
        },
      ],
    }),
  );
}

async function leftMs({ db }: TestDatabase, id: JobId): Promise<number> {
  const { rows } = await sql<{ left: number | null }>`
    select (extract(epoch from deadline_at - clock_timestamp()) * 1000)::float8 as left from jobs where id = ${id}
  `.execute(db);
  return rows[0]?.left ?? Number.NaN;
}

const DOWNLOADING: JobState = { name: "downloading", bytesDone: 0, bytesTotal: SIZE };

test("a job whose host waits gets its full time again, up to its greatest age, and never less than it has", async () => {
  await using database = await createTestDatabase();
  const jobs = {
    dispatched: await addJob(database, { name: "dispatched" }),
    downloading: await addJob(database, DOWNLOADING),
    old: await addJob(database, DOWNLOADING, 1_000, 20_000),
    graced: await addJob(database, DOWNLOADING, 200_000),
    staged: await addJob(database, { name: "staged" }),
    failed: await addJob(database, { name: "failed", reason: "no_progress", details: {} }),
    other: await addJob(database, DOWNLOADING),
  };
  const { other, ...waiting } = jobs;
  await renewWaitingJobs(database.db, Object.values(waiting), PROGRESS_DEADLINE_MS);
  for (const id of [jobs.dispatched, jobs.downloading]) {
    expect(await leftMs(database, id)).toBeGreaterThan(60_000);
    expect(await leftMs(database, id)).toBeLessThanOrEqual(PROGRESS_DEADLINE_MS);
  }
  expect(await leftMs(database, jobs.old)).toBeGreaterThan(1_000);
  expect(await leftMs(database, jobs.old)).toBeLessThanOrEqual(20_000);
  expect(await leftMs(database, jobs.graced)).toBeGreaterThan(PROGRESS_DEADLINE_MS);
  for (const id of [jobs.staged, other]) expect(await leftMs(database, id)).toBeLessThanOrEqual(1_000);
  expect(await leftMs(database, jobs.failed)).toBeNaN();
});

test("renewing waits for no job that is being changed", async () => {
  await using database = await createTestDatabase();
  const [locked, free] = [await addJob(database, DOWNLOADING), await addJob(database, DOWNLOADING)];
  await database.db.transaction().execute(async (tx) => {
    await lockJobs(tx, [locked]);
    await renewWaitingJobs(database.db, [locked, free], PROGRESS_DEADLINE_MS);
    expect(await leftMs(database, free)).toBeGreaterThan(60_000);
  });
  expect(await leftMs(database, locked)).toBeLessThanOrEqual(1_000);
});

test("what is saved is reckoned by the release's size when the job is staged, and corrected by what comes later", async () => {
  await using database = await createTestDatabase();
  await addRelease(database);
  const { db } = database;
  // The host says that it has a terabyte to fetch.
  const id = await addJob(database, { name: "downloading", bytesDone: 0, bytesTotal: 1e12 });
  await addDelivered(db, [{ jobId: id, bytes: 150_000 }]);
  await addDelivered(db, [{ jobId: id, bytes: 50_000 }]);
  expect(await findJob(db, id)).toMatchObject({ bytesDelivered: 200_000, bytesSaved: 0 });
  await saveState(db, id, { name: "staged" });
  expect(await findJob(db, id)).toMatchObject({ bytesDelivered: 200_000, bytesSaved: SIZE - 200_000 });
  await addDelivered(db, [{ jobId: id, bytes: 10_000 }]);
  expect(await findJob(db, id)).toMatchObject({ bytesDelivered: 210_000, bytesSaved: SIZE - 210_000 });
  await addDelivered(db, [{ jobId: id, bytes: 1_500_000 }]);
  expect(await findJob(db, id)).toMatchObject({ bytesDelivered: 1_710_000, bytesSaved: 0 });
  expect(await sumDeliveries(db)).toEqual({ bytesDelivered: 1_710_000n, bytesSaved: 0n });
});

test("a job of a release that is gone saves nothing", async () => {
  await using database = await createTestDatabase();
  const id = await addJob(database, { name: "staged" });
  expect(await findJob(database.db, id)).toMatchObject({ bytesSaved: 0 });
  expect(await sumDeliveries(database.db)).toEqual({ bytesDelivered: 0n, bytesSaved: 0n });
});

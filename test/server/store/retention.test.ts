import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_DURATIONS } from "../../../server/domain/durations.ts";
import type { HostId, JobId, ReplicaId, UserId, UserSessionId } from "../../../server/domain/ids.ts";
import { insertEnrollmentToken } from "../../../server/store/enrollment-tokens.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { findJobLog, keepJobLog } from "../../../server/store/job-logs.ts";
import { insertJobs, saveJobStates } from "../../../server/store/jobs.ts";
import { createRetentionStore } from "../../../server/store/retention.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const DAYS = 30;
let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database[Symbol.asyncDispose]());

const store = () => createRetentionStore(database.db, "one" as ReplicaId);

async function addHost(): Promise<HostId> {
  const id = randomUUID() as HostId;
  await insertHost(database.db, { id, hostname: "h", os: "linux", arch: "x64" });
  return id;
}

/** A job of so many days ago, ended at once unless it is open. */
async function addJob(hostId: HostId, daysAgo: number, isOpen = false): Promise<JobId> {
  const { db } = database;
  const id = randomUUID() as JobId;
  const versions = { fromVersion: "1", toVersion: "2", manifestSha256: new Uint8Array(32), artifactSha256: "ab" };
  const facts = { package: "rollcall-agent", ignoreQuarantine: false, fleetUpdateId: null, requestedBy: "test" };
  await insertJobs(db, [{ id, hostId, ...versions, ...facts }], DEFAULT_DURATIONS);
  if (!isOpen) {
    const ended = { id, state: { name: "cancelled" }, isProgress: false } as const;
    await db.transaction().execute((tx) => saveJobStates(tx, [ended], 0));
  }
  const age = sql<Date>`clock_timestamp() - make_interval(days => ${daysAgo}::integer)`;
  await db
    .updateTable("jobs")
    .set({ created_at: age, ...(isOpen ? {} : { ended_at: age }) })
    .where("id", "=", id)
    .execute();
  return id;
}

async function listJobs(): Promise<readonly string[]> {
  return (await database.db.selectFrom("jobs").select("id").execute()).map(({ id }) => id).toSorted();
}

describe("jobs that ended long ago", () => {
  test("go with their logs, and neither the last of a host nor one that is open", async () => {
    const [busy, quiet, open] = [await addHost(), await addHost(), await addHost()];
    const gone = await addJob(busy, 40);
    await database.db.transaction().execute((tx) => keepJobLog(tx, gone, ["said"]));
    const kept = [await addJob(busy, 29), await addJob(quiet, 500), await addJob(open, 500, true)];
    expect(await store().trimJobs(DAYS, 100)).toBe(1);
    expect(await listJobs()).toEqual(kept.toSorted());
    expect(await findJobLog(database.db, gone)).toEqual([]);
    expect(await store().trimJobs(DAYS, 100)).toBe(0);
  });

  test("stay while they count against an artifact or an open alert speaks of them", async () => {
    const host = await addHost();
    const [counted, alarmed, settled] = [await addJob(host, 60), await addJob(host, 59), await addJob(host, 58)];
    const last = await addJob(host, 1);
    await database.db
      .insertInto("artifact_rollbacks")
      .values({ sha256: "ab", host_id: host, job_id: counted })
      .execute();
    const alert = { kind: "update_failed", host_id: host, severity: "warning", reason: "crashed" } as const;
    await database.db
      .insertInto("alerts")
      .values([
        { ...alert, job_id: alarmed },
        { ...alert, job_id: settled, resolved_at: new Date() },
      ])
      .execute();
    expect(await store().trimJobs(DAYS, 100)).toBe(1);
    expect(await listJobs()).toEqual([counted, alarmed, last].toSorted());
    const { rows } = await sql`select from alerts where job_id = ${settled}`.execute(database.db);
    expect(rows).toHaveLength(1);
  });

  test("go a batch at a time, the oldest first", async () => {
    const host = await addHost();
    const jobs: JobId[] = [];
    for (let daysAgo = 100; daysAgo > 95; daysAgo -= 1) jobs.push(await addJob(host, daysAgo));
    expect(await store().trimJobs(DAYS, 3)).toBe(3);
    expect(await listJobs()).toEqual(jobs.slice(3).toSorted());
    expect(await store().trimJobs(DAYS, 3)).toBe(1);
  });
});

test("tokens go so long after nobody could use them any more", async () => {
  const { db } = database;
  const token = { label: "", maxUses: 1, createdBy: "test", labels: [], replacesHostId: null };
  const dayMs = 86_400_000;
  const add = async (validForDays: number, revokedDaysAgo?: number): Promise<string> => {
    const id = randomUUID();
    await insertEnrollmentToken(db, { ...token, id, tokenSha256: Buffer.from(id), validForMs: validForDays * dayMs });
    if (revokedDaysAgo !== undefined)
      await sql`update enrollment_tokens set revoked_at = clock_timestamp() - make_interval(days => ${revokedDaysAgo}::integer)
        where id = ${id}`.execute(db);
    return id;
  };
  await add(-40);
  await add(5, 40);
  const kept = [await add(-20), await add(5, 20), await add(5)];
  expect(await store().trimTokens(DAYS, 100)).toBe(2);
  const left = await db.selectFrom("enrollment_tokens").select("id").execute();
  expect(left.map(({ id }) => id).toSorted()).toEqual(kept.toSorted());
});

test("counts of versions go by their day", async () => {
  const { db } = database;
  await sql`insert into version_adoption (day, package, version, hosts)
    select (clock_timestamp() at time zone 'UTC')::date - ago, 'rollcall-agent', '1', 1 from unnest(array[0, 29, 31, 400]) ago`.execute(
    db,
  );
  expect(await store().trimAdoption(DAYS, 1)).toBe(1);
  expect(await store().trimAdoption(DAYS, 100)).toBe(1);
  const { rows } = await sql`select from version_adoption`.execute(db);
  expect(rows).toHaveLength(2);
});

test("a session's row goes once it has ended", async () => {
  const { db } = database;
  const userId = randomUUID() as UserId;
  await db.insertInto("users").values({ id: userId, username: "ada", role: "viewer", created_by: "test" }).execute();
  for (const hours of [-1, 1]) {
    const id = randomUUID() as UserSessionId;
    const expires_at = sql<Date>`clock_timestamp() + make_interval(hours => ${hours}::integer)`;
    const secret_sha256 = Buffer.from(id);
    await db
      .insertInto("user_sessions")
      .values({ id, user_id: userId, secret_sha256, address: "", user_agent: "", expires_at })
      .execute();
  }
  expect(await store().trimSessions(100)).toBe(1);
  expect(await store().trimSessions(100)).toBe(0);
});

test("one server at a time trims", async () => {
  const other = createRetentionStore(database.db, "two" as ReplicaId);
  expect(await store().holdLease(60_000)).toBe(true);
  expect(await other.holdLease(60_000)).toBe(false);
  expect(await store().holdLease(0)).toBe(true);
  expect(await other.holdLease(60_000)).toBe(true);
});

/** Questions about jobs. A write is guarded by the row lock its caller took. */
import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import type { HostId, JobId, ReplicaId } from "../domain/ids.ts";
import type { Job, NewJob } from "../domain/job.ts";
import { isOpen, type JobState, type JobStateName } from "../domain/job-state.ts";
import { toJob } from "./job-rows.ts";
import { milliseconds } from "./intervals.ts";
import type { Db, JobsTable } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** Where a page of jobs begins: after this one, newest first. */
export interface JobCursor {
  readonly createdAt: Date;
  readonly id: JobId;
}

/** Writes a job down as dispatched. Throws the driver's unique violation when the host has an open one. */
export async function insertJob(
  db: Executor,
  job: NewJob,
  times: { readonly progressDeadlineMs: number; readonly greatestJobAgeMs: number },
): Promise<Job> {
  const row = await db
    .insertInto("jobs")
    .values({
      id: job.id,
      host_id: job.hostId,
      kind: "update",
      package: job.package,
      from_version: job.fromVersion,
      to_version: job.toVersion,
      manifest_sha256: Buffer.from(job.manifestSha256),
      artifact_sha256: job.artifactSha256,
      state: "dispatched",
      details: "{}",
      ignore_quarantine: job.ignoreQuarantine,
      fleet_update_id: job.fleetUpdateId,
      requested_by: job.requestedBy,
      deadline_at: sql<Date>`clock_timestamp() + ${milliseconds(Math.min(times.progressDeadlineMs, times.greatestJobAgeMs))}`,
      last_deadline_at: sql<Date>`clock_timestamp() + ${milliseconds(times.greatestJobAgeMs)}`,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toJob(row);
}

/** The host's open job, locked, or `undefined`. */
export async function lockOpenJob(tx: Transaction<Db>, hostId: HostId): Promise<Job | undefined> {
  const row = await tx
    .selectFrom("jobs")
    .selectAll()
    .where("host_id", "=", hostId)
    .where("ended_at", "is", null)
    .forUpdate()
    .executeTakeFirst();
  return row && toJob(row);
}

/** One job, locked, or `undefined`. */
export async function lockJob(tx: Transaction<Db>, id: JobId): Promise<Job | undefined> {
  const row = await tx.selectFrom("jobs").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  return row && toJob(row);
}

/**
 * Stores a job's new state. A job that ended keeps its instants for ever; one that
 * progressed gets its full time again, up to its greatest age.
 */
export async function saveJobState(
  tx: Transaction<Db>,
  id: JobId,
  state: JobState,
  renewDeadlineMs: number | undefined,
): Promise<Job> {
  const isEnd = !isOpen(state.name);
  const hasReason = state.name === "failed" || state.name === "rolled_back";
  const row = await tx
    .updateTable("jobs")
    .set({
      state: state.name,
      reason: hasReason ? state.reason : null,
      details: JSON.stringify(hasReason ? state.details : {}),
      changed_at: sql<Date>`clock_timestamp()`,
      ...(state.name === "downloading"
        ? { bytes_done: BigInt(state.bytesDone), bytes_total: BigInt(state.bytesTotal) }
        : {}),
      ...(state.name === "staged" ? { bytes_saved: bytesSaved() } : {}),
      ...(state.name === "restarting" ? { committed_at: sql<Date>`coalesce(committed_at, clock_timestamp())` } : {}),
      ...(isEnd ? { ended_at: sql<Date>`coalesce(ended_at, clock_timestamp())`, deadline_at: null } : {}),
      ...(renewDeadlineMs === undefined || isEnd ? {} : { deadline_at: renewedDeadline(renewDeadlineMs) }),
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  return toJob(row);
}

/** Never beyond the greatest age, never earlier than a grace that was already given. */
function renewedDeadline(renewDeadlineMs: number) {
  return sql<Date>`least(clock_timestamp() + ${milliseconds(renewDeadlineMs)}, greatest(last_deadline_at, deadline_at))`;
}

/** What the whole artifact would have cost, less what was sent. Its size is the release's word, not the host's. */
function bytesSaved() {
  return sql<bigint>`coalesce((
    select greatest(0, artifact.size_bytes - jobs.bytes_delivered)
    from releases release
    join hosts host on host.id = jobs.host_id
    join release_artifacts artifact on artifact.package = release.package and artifact.version = release.version
      and artifact.platform = host.os || '-' || host.arch
    where release.package = jobs.package and release.version = jobs.to_version
  ), 0)`;
}

/** One job, or `undefined`. */
export async function findJob(db: Executor, id: JobId): Promise<Job | undefined> {
  const row = await db.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
  return row && toJob(row);
}

/** A page of jobs, newest first; of one host when it is given. */
export async function listJobs(
  db: Executor,
  query: { readonly hostId?: HostId; readonly after?: JobCursor; readonly limit: number },
): Promise<readonly Job[]> {
  let jobs = db.selectFrom("jobs").selectAll();
  if (query.hostId !== undefined) jobs = jobs.where("host_id", "=", query.hostId);
  if (query.after !== undefined) {
    const { createdAt, id } = query.after;
    jobs = jobs.where(sql<boolean>`(created_at, id) < (${createdAt}, ${id})`);
  }
  const rows: Selectable<JobsTable>[] = await jobs
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(query.limit)
    .execute();
  return rows.map(toJob);
}

/** Whether a job was ever this host's. */
export async function isOwnJob(db: Executor, hostId: HostId, jobId: JobId): Promise<boolean> {
  const row = await db
    .selectFrom("jobs")
    .select("id")
    .where("id", "=", jobId)
    .where("host_id", "=", hostId)
    .executeTakeFirst();
  return row !== undefined;
}

/** How many jobs are under way in each state. *Shape*: no entry for a state that none is in. */
export async function countOpenJobs(db: Executor): Promise<ReadonlyMap<JobStateName, number>> {
  const rows = await db
    .selectFrom("jobs")
    .select(["state", sql<bigint>`count(*)`.as("count")])
    .where("ended_at", "is", null)
    .groupBy("state")
    .execute();
  return new Map(rows.map(({ state, count }) => [state, Number(count)]));
}

/** These jobs, in no order; those that do not exist are left out. */
export async function findJobs(db: Executor, ids: readonly JobId[]): Promise<readonly Job[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom("jobs").selectAll().where("id", "=", sql<JobId>`any(${ids}::uuid[])`).execute();
  return rows.map(toJob);
}

/** Dispatched jobs of hosts whose open session this replica holds; of these hosts alone when they are given. */
export async function listDispatchedJobs(
  db: Executor,
  replicaId: ReplicaId,
  hostIds: readonly HostId[] | undefined,
): Promise<readonly Job[]> {
  let jobs = db
    .selectFrom("jobs")
    .innerJoin("agent_sessions", "agent_sessions.host_id", "jobs.host_id")
    .selectAll("jobs")
    .where("jobs.ended_at", "is", null)
    .where("jobs.state", "=", "dispatched")
    .where("agent_sessions.replica_id", "=", replicaId)
    .where("agent_sessions.closed_at", "is", null);
  if (hostIds !== undefined) jobs = jobs.where("jobs.host_id", "=", sql<HostId>`any(${hostIds}::uuid[])`);
  return (await jobs.execute()).map(toJob);
}

/** Those of these jobs that have ended. */
export async function listEndedJobs(db: Executor, ids: readonly JobId[]): Promise<readonly JobId[]> {
  const rows = await db
    .selectFrom("jobs")
    .select("id")
    .where("id", "=", sql<JobId>`any(${ids}::uuid[])`)
    .where("ended_at", "is not", null)
    .execute();
  return rows.map(({ id }) => id);
}

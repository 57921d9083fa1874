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

/** Writes jobs down as dispatched, in order. Throws the driver's unique violation when a host has an open one. */
export async function insertJobs(
  db: Executor,
  jobs: readonly NewJob[],
  times: { readonly progressDeadlineMs: number; readonly greatestJobAgeMs: number },
): Promise<readonly Job[]> {
  const { rows } = await sql<Selectable<JobsTable>>`
    insert into jobs (id, host_id, kind, package, from_version, to_version, manifest_sha256, artifact_sha256, state,
      details, ignore_quarantine, fleet_update_id, requested_by, deadline_at, last_deadline_at)
    select id, host_id, 'update', package, from_version, to_version, manifest_sha256, artifact_sha256, 'dispatched',
      '{}', ignore_quarantine, fleet_update_id, requested_by,
      clock_timestamp() + ${milliseconds(Math.min(times.progressDeadlineMs, times.greatestJobAgeMs))},
      clock_timestamp() + ${milliseconds(times.greatestJobAgeMs)}
    from unnest(
      ${jobs.map((job) => job.id)}::uuid[],
      ${jobs.map((job) => job.hostId)}::uuid[],
      ${jobs.map((job) => job.package)}::text[],
      ${jobs.map((job) => job.fromVersion)}::text[],
      ${jobs.map((job) => job.toVersion)}::text[],
      ${jobs.map((job) => Buffer.from(job.manifestSha256))}::bytea[],
      ${jobs.map((job) => job.artifactSha256)}::text[],
      ${jobs.map((job) => job.ignoreQuarantine)}::boolean[],
      ${jobs.map((job) => job.fleetUpdateId)}::uuid[],
      ${jobs.map((job) => job.requestedBy)}::text[]
    ) as job (id, host_id, package, from_version, to_version, manifest_sha256, artifact_sha256, ignore_quarantine,
      fleet_update_id, requested_by)
    returning jobs.*
  `.execute(db);
  const inserted = new Map(rows.map((row) => [row.id, toJob(row)]));
  return jobs.map((job) => inserted.get(job.id) ?? failWithoutRow(job.id));
}

/**
 * The open jobs of these hosts, locked.
 *
 * *Shape*: for each host, in order; `undefined` where there is none.
 */
export async function lockOpenJobs(
  tx: Transaction<Db>,
  hostIds: readonly HostId[],
): Promise<readonly (Job | undefined)[]> {
  const rows = await tx
    .selectFrom("jobs")
    .selectAll()
    .where("host_id", "in", [...hostIds])
    .where("ended_at", "is", null)
    .orderBy("host_id")
    .forUpdate()
    .execute();
  const open = new Map(rows.map((row) => [row.host_id, toJob(row)]));
  return hostIds.map((hostId) => open.get(hostId));
}

/**
 * These jobs, locked.
 *
 * *Shape*: for each id, in order; `undefined` for one that is unknown.
 */
export async function lockJobs(tx: Transaction<Db>, ids: readonly JobId[]): Promise<readonly (Job | undefined)[]> {
  const rows = await tx
    .selectFrom("jobs")
    .selectAll()
    .where("id", "in", [...ids])
    .orderBy("host_id")
    .forUpdate()
    .execute();
  const found = new Map(rows.map((row) => [row.id, toJob(row)]));
  return ids.map((id) => found.get(id));
}

/** What a job has come to. */
export interface NewJobState {
  readonly id: JobId;
  readonly state: JobState;
  /** It progressed: it gets its full time again. */
  readonly isProgress: boolean;
}

/**
 * Stores new states of jobs, in order. A job that ended keeps its instants for ever; one that
 * progressed gets its full time again, up to its greatest age.
 */
export async function saveJobStates(
  tx: Transaction<Db>,
  states: readonly NewJobState[],
  progressDeadlineMs: number,
): Promise<readonly Job[]> {
  const { rows } = await sql<Selectable<JobsTable>>`
    update jobs set state = said.state, reason = said.reason, details = said.details, changed_at = clock_timestamp(),
      bytes_done = coalesce(said.bytes_done, jobs.bytes_done),
      bytes_total = coalesce(said.bytes_total, jobs.bytes_total),
      bytes_saved = case when said.state = 'staged' then ${BYTES_SAVED} else jobs.bytes_saved end,
      committed_at = case when said.state = 'restarting' then coalesce(jobs.committed_at, clock_timestamp())
        else jobs.committed_at end,
      ended_at = case when said.is_end then coalesce(jobs.ended_at, clock_timestamp()) else jobs.ended_at end,
      deadline_at = case when said.is_end then null
        -- Never beyond the greatest age, never earlier than a grace that was already given.
        when said.is_progress then least(clock_timestamp() + ${milliseconds(progressDeadlineMs)},
          greatest(jobs.last_deadline_at, jobs.deadline_at))
        else jobs.deadline_at end
    from unnest(
      ${states.map(({ id }) => id)}::uuid[],
      ${states.map(({ state }) => state.name)}::text[],
      ${states.map(({ state }) => ("reason" in state ? state.reason : null))}::text[],
      ${states.map(({ state }) => JSON.stringify("details" in state ? state.details : {}))}::jsonb[],
      ${states.map(({ state }) => ("bytesDone" in state ? state.bytesDone : null))}::bigint[],
      ${states.map(({ state }) => ("bytesTotal" in state ? state.bytesTotal : null))}::bigint[],
      ${states.map(({ state }) => !isOpen(state.name))}::boolean[],
      ${states.map(({ isProgress }) => isProgress)}::boolean[]
    ) as said (id, state, reason, details, bytes_done, bytes_total, is_end, is_progress)
    where jobs.id = said.id
    returning jobs.*
  `.execute(tx);
  const saved = new Map(rows.map((row) => [row.id, toJob(row)]));
  return states.map(({ id }) => saved.get(id) ?? failWithoutRow(id));
}

/** What the whole artifact would have cost, less what was sent. Its size is the release's word, not the host's. */
const BYTES_SAVED = sql<bigint>`coalesce((
  select greatest(0, artifact.size_bytes - jobs.bytes_delivered)
  from releases release
  join hosts host on host.id = jobs.host_id
  join release_artifacts artifact on artifact.package = release.package and artifact.version = release.version
    and artifact.platform = host.os || '-' || host.arch
  where release.package = jobs.package and release.version = jobs.to_version
), 0)`;

function failWithoutRow(id: JobId): never {
  throw new Error(`there is no row of the job ${id}`);
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

/** Every open job, and whose it is. */
export async function listOpenJobs(db: Executor): Promise<readonly { readonly id: JobId; readonly hostId: HostId }[]> {
  return db.selectFrom("jobs").select(["id", "host_id as hostId"]).where("ended_at", "is", null).execute();
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

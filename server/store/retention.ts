/** What has lived long enough. Every deletion is one small batch, the oldest first, by the database's clock. */
import { sql, type Kysely } from "kysely";
import type { ReplicaId } from "../domain/ids.ts";
import { answered } from "./away.ts";
import { holdLease } from "./leases.ts";
import type { Db } from "./schema.ts";

const LEASE = "retention";

/** Binds the deletions. */
export function createRetentionStore(db: Kysely<Db>, replicaId: ReplicaId) {
  return {
    holdLease: async (lifeMs: number) => (await answered(holdLease(db, LEASE, replicaId, lifeMs))) !== undefined,
    trimJobs: (days: number, limit: number) => answered(trimJobs(db, days, limit)),
    trimTokens: (days: number, limit: number) => answered(trimTokens(db, days, limit)),
    trimAdoption: (days: number, limit: number) => answered(trimAdoption(db, days, limit)),
    trimSessions: (limit: number) => answered(trimSessions(db, limit)),
  };
}

/**
 * Jobs that ended, with their logs. Kept are the last job of each host, what counts against an artifact, what an open
 * alert speaks of, and what a fleet update has not taken note of yet.
 */
async function trimJobs(db: Kysely<Db>, days: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from jobs where id in (
      select job.id from jobs job
      where job.ended_at < clock_timestamp() - make_interval(days => ${days}::integer)
        and job.created_at < clock_timestamp() - make_interval(days => ${days}::integer)
        and exists (select from jobs later
          where later.host_id = job.host_id and (later.created_at, later.id) > (job.created_at, job.id))
        and not exists (select from artifact_rollbacks rollback where rollback.job_id = job.id)
        and not exists (select from alerts alert where alert.job_id = job.id and alert.resolved_at is null)
        and not exists (select from fleet_update_hosts place where place.fleet_update_id = job.fleet_update_id
          and place.host_id = job.host_id and place.state in ('pending', 'updating'))
      order by job.created_at limit ${limit} for update skip locked
    )
  `.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/** Enrolment tokens that nobody can use any more. */
async function trimTokens(db: Kysely<Db>, days: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from enrollment_tokens where id in (
      select id from enrollment_tokens
      where least(expires_at, revoked_at) < clock_timestamp() - make_interval(days => ${days}::integer)
      order by expires_at limit ${limit} for update skip locked
    )
  `.execute(db);
  return Number(numAffectedRows ?? 0n);
}

async function trimAdoption(db: Kysely<Db>, days: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from version_adoption where (day, package, version) in (
      select day, package, version from version_adoption
      where day < (clock_timestamp() at time zone 'UTC')::date - ${days}::integer
      order by day limit ${limit}
    )
  `.execute(db);
  return Number(numAffectedRows ?? 0n);
}

async function trimSessions(db: Kysely<Db>, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from user_sessions where id in (
      select id from user_sessions where expires_at < clock_timestamp() order by expires_at limit ${limit} for update skip locked
    )
  `.execute(db);
  return Number(numAffectedRows ?? 0n);
}

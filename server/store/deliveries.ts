/** Questions about what deliveries cost, and about jobs whose hosts wait for one. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { JobId } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** Bytes that were sent for a job. */
export interface Delivered {
  readonly jobId: JobId;
  readonly bytes: number;
}

/**
 * Adds bytes that were sent, a job at most once. What was already counted as saved is so much
 * less: this may come after the job was staged.
 */
export async function addDelivered(db: Executor, delivered: readonly Delivered[]): Promise<void> {
  await sql`
    update jobs set bytes_delivered = bytes_delivered + sent.bytes, bytes_saved = greatest(0, bytes_saved - sent.bytes)
    from unnest(
      ${delivered.map(({ jobId }) => jobId)}::uuid[],
      ${delivered.map(({ bytes }) => bytes)}::bigint[]
    ) as sent (id, bytes)
    where jobs.id = sent.id
  `.execute(db);
}

/** What was delivered and saved since the fleet began. */
export async function sumDeliveries(
  db: Executor,
): Promise<{ readonly bytesDelivered: bigint; readonly bytesSaved: bigint }> {
  return db
    .selectFrom("jobs")
    .select([
      sql<bigint>`coalesce(sum(bytes_delivered), 0)::bigint`.as("bytesDelivered"),
      sql<bigint>`coalesce(sum(bytes_saved), 0)::bigint`.as("bytesSaved"),
    ])
    .executeTakeFirstOrThrow();
}

/**
 * Gives open jobs whose hosts wait for a delivery their full time again, up to their
 * greatest age. One whose row is locked is being changed this moment and keeps its time.
 */
export async function renewWaitingJobs(db: Executor, ids: readonly JobId[], progressDeadlineMs: number): Promise<void> {
  if (ids.length === 0) return;
  await sql`
    with waiting as (
      select id from jobs where id = any(${[...ids]}::uuid[]) and state in ('dispatched', 'downloading')
      for update skip locked
    )
    update jobs set deadline_at = greatest(jobs.deadline_at,
      least(clock_timestamp() + ${milliseconds(progressDeadlineMs)}, jobs.last_deadline_at))
    from waiting where jobs.id = waiting.id
  `.execute(db);
}

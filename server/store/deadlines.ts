/**
 * Deadlines are a column compared with the database's clock. Whoever asks for those
 * that passed also says what that clock should read by now: if it reads something
 * else it jumped, and nothing is due.
 */
import { sql, type Kysely, type Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import { milliseconds } from "./intervals.ts";
import { toJob } from "./job-rows.ts";
import type { Db, JobsTable } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** The span in which the database's clock should be now. */
export interface ClockWindow {
  readonly from: Date;
  readonly to: Date;
}

/** The database's clock. */
export async function readDatabaseClock(db: Executor): Promise<Date> {
  const result = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db);
  return result.rows[0]?.now ?? fail();
}

/** Claims open jobs whose deadline has passed, locked; none while the clock is outside its window. */
export async function claimDueJobs(
  tx: Transaction<Db>,
  window: ClockWindow,
  limit: number,
): Promise<readonly { readonly job: Job; readonly isMaximumAge: boolean }[]> {
  const rows = await tx
    .selectFrom("jobs")
    .selectAll()
    .select(sql<boolean>`deadline_at >= last_deadline_at`.as("is_maximum_age"))
    .where("ended_at", "is", null)
    .where("deadline_at", "<=", sql<Date>`clock_timestamp()`)
    .where(sql<boolean>`clock_timestamp() between ${window.from} and ${window.to}`)
    .orderBy("deadline_at")
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
  return rows.map((row) => ({ job: toJob(row as JobsTable & typeof row), isMaximumAge: row.is_maximum_age }));
}

/**
 * Gives every open job time: no server ran, or it stood still. A job that is only
 * dispatched gets more than the others: its host may know nothing of it, and then it
 * is in no hurry to come back.
 */
export async function graceDeadlines(
  db: Executor,
  grace: { readonly openMs: number; readonly dispatchedMs: number },
): Promise<void> {
  await sql`
    update jobs set deadline_at = greatest(deadline_at, clock_timestamp() +
      case state when 'dispatched' then ${milliseconds(grace.dispatchedMs)} else ${milliseconds(grace.openMs)} end)
    where ended_at is null
  `.execute(db);
}

/** What a jump of the clock is made good with. *Units*: milliseconds. */
export interface JumpTimes {
  readonly progressDeadlineMs: number;
  readonly greatestJobAgeMs: number;
  readonly offlineAfterMs: number;
  /** The furthest ahead that a host's end of grace ever lies. */
  readonly startGraceMs: number;
}

/**
 * Makes a jump of the clock good: no instant that was written by the clock as it was
 * tells anything now, so open jobs get their full time again and hosts that were not
 * offline get theirs. Instants that were written since are not told apart, and two
 * servers may both notice: doing it twice does what doing it once does.
 */
export async function absorbClockJump(tx: Transaction<Db>, jumpMs: number, times: JumpTimes): Promise<void> {
  const lastDeadline = sql`clock_timestamp() + ${milliseconds(times.greatestJobAgeMs)}`;
  await sql`
    update jobs set deadline_at = clock_timestamp() + ${milliseconds(times.progressDeadlineMs)},
      last_deadline_at = case when last_deadline_at between clock_timestamp() and ${lastDeadline}
        then greatest(last_deadline_at, clock_timestamp() + ${milliseconds(times.progressDeadlineMs)})
        else ${lastDeadline} end
    where ended_at is null
  `.execute(tx);
  await sql`
    update hosts set offline_at = case when offline_at > clock_timestamp() - ${milliseconds(jumpMs)}
      then clock_timestamp() + ${milliseconds(times.offlineAfterMs)}
      when offline_at > clock_timestamp() + ${milliseconds(times.startGraceMs)} then clock_timestamp()
      else offline_at end
    where removed_at is null and offline_at is not null
  `.execute(tx);
}

/** Hosts that went offline after `after` and until now. */
export async function listGoneOffline(db: Executor, after: Date): Promise<readonly HostId[]> {
  const rows = await db
    .selectFrom("hosts")
    .select("id")
    .where("removed_at", "is", null)
    .where("offline_at", ">", after)
    .where("offline_at", "<=", sql<Date>`clock_timestamp()`)
    .execute();
  return rows.map((row) => row.id);
}

function fail(): never {
  throw new Error("the database answered without a row");
}

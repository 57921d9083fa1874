/**
 * What a database of an earlier day may not go on with. Hosts moved on since, and people
 * called off, revoked and ended things that nobody knows of any more. So whatever would
 * act by itself, or let somebody in, ends here; what is only known stays.
 *
 *  - A job whose commit is not recorded is cancelled: it may have ended long ago, and its
 *    command would be sent again. One whose commit is recorded is never sent again; its
 *    host's Hello says how it ended, or the deadline does.
 *  - A running fleet update is cancelled. *Start again* takes the hosts that it left.
 *  - Sessions of people, setup links and enrolment tokens count no more.
 *  - Notifications that waited were sent.
 */
import { sql, type Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import { reduceJob, isLegal } from "../domain/reduce-job.ts";
import { writeAuditEvents } from "./audit-events.ts";
import { endFleetUpdate, findRunningFleetUpdate } from "./fleet-updates.ts";
import { listOpenJobs, lockJobs, saveJobStates } from "./jobs.ts";
import type { Db } from "./schema.ts";

/** What ended. */
export interface SettledCounts {
  readonly cancelledJobs: number;
  readonly cancelledFleetUpdates: number;
}

const JOBS_AT_ONCE = 500;
const ACTOR = "rollcall";

/** Ends it, and writes into the audit log what a person would have to know. */
export async function settleRestored(tx: Transaction<Db>, cause: string): Promise<SettledCounts> {
  const running = await findRunningFleetUpdate(tx);
  if (running !== undefined) {
    await endFleetUpdate(tx, running.id, { state: "cancelled" });
    await writeAuditEvents(tx, [{ actor: ACTOR, action: "fleet.update_cancelled", fleetUpdateId: running.id, cause }]);
  }
  const cancelledJobs = await cancelJobs(tx, cause);
  await tx.deleteFrom("user_sessions").execute();
  await tx.deleteFrom("setup_links").execute();
  await tx.deleteFrom("notifications").execute();
  await tx
    .updateTable("enrollment_tokens")
    .set({ revoked_at: sql<Date>`clock_timestamp()` })
    .where("revoked_at", "is", null)
    .where("expires_at", ">", sql<Date>`clock_timestamp()`)
    .execute();
  return { cancelledJobs, cancelledFleetUpdates: running === undefined ? 0 : 1 };
}

async function cancelJobs(tx: Transaction<Db>, cause: string): Promise<number> {
  const open = await listOpenJobs(tx);
  let cancelled = 0;
  for (let from = 0; from < open.length; from += JOBS_AT_ONCE) {
    const ids = open.slice(from, from + JOBS_AT_ONCE).map(({ id }) => id);
    const jobs = (await lockJobs(tx, ids)).flatMap((job) =>
      job !== undefined && isLegal(job.state.name, "cancelled") ? [job] : [],
    );
    if (jobs.length === 0) continue;
    const states = jobs.map(({ id, state }) => ({
      id,
      state: reduceJob(state, { name: "cancelled" }).state,
      isProgress: false,
    }));
    await saveJobStates(tx, states, 0);
    await writeAuditEvents(
      tx,
      jobs.map((job): NewAuditEvent => {
        const details = { from_version: job.fromVersion, to_version: job.toVersion };
        const { hostId, id: jobId, fleetUpdateId } = job;
        return { actor: ACTOR, action: "host.update_cancelled", hostId, jobId, fleetUpdateId, cause, details };
      }),
    );
    cancelled += jobs.length;
  }
  return cancelled;
}

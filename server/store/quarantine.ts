/**
 * Artifacts that rolled back on too many hosts. What counts against one is kept a row
 * a host, so that a host that fails over and over counts once.
 *
 * Two hosts may go back at one moment: counting waits for a lock, so that the second
 * sees the first. It is the last lock that a transaction takes.
 */
import { sql, type Transaction } from "kysely";
import type { JobId } from "../domain/ids.ts";
import type { LiftedQuarantine, NewQuarantine } from "../domain/quarantine.ts";
import type { Db } from "./schema.ts";

/** One transaction at a time counts or forgets. */
async function lockQuarantine(tx: Transaction<Db>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('rollcall quarantine'))`.execute(tx);
}

/**
 * Counts a job that rolled back against its artifact, if its commit was recorded.
 *
 * *Shape*: the quarantine when this is the host that makes it `hostsToQuarantine`; else `undefined`.
 */
export async function noteRollback(
  tx: Transaction<Db>,
  jobId: JobId,
  hostsToQuarantine: number,
): Promise<NewQuarantine | undefined> {
  await lockQuarantine(tx);
  const noted = await tx
    .insertInto("artifact_rollbacks")
    .columns(["sha256", "host_id", "job_id"])
    .expression((row) =>
      row
        .selectFrom("jobs")
        .select(["artifact_sha256", "host_id", "id"])
        .where("id", "=", jobId)
        .where("committed_at", "is not", null)
        .where("artifact_sha256", "is not", null)
        .$narrowType<{ artifact_sha256: string }>(),
    )
    .onConflict((conflict) => conflict.doNothing())
    .returning("sha256")
    .executeTakeFirst();
  if (noted === undefined) return undefined;
  const { sha256 } = noted;
  const { hosts } = await tx
    .selectFrom("artifact_rollbacks")
    .select(sql<bigint>`count(*)`.as("hosts"))
    .where("sha256", "=", sha256)
    .executeTakeFirstOrThrow();
  if (Number(hosts) < hostsToQuarantine) return undefined;
  const quarantined = await tx
    .insertInto("quarantined_artifacts")
    .values({ sha256 })
    .onConflict((conflict) => conflict.doNothing())
    .returning("sha256")
    .executeTakeFirst();
  return quarantined && { sha256, hosts: Number(hosts) };
}

/**
 * Lifts a quarantine, and forgets what counted against the artifact.
 *
 * *Shape*: `undefined` for an artifact that is known and not quarantined, "unknown" for one that never was known.
 */
export async function liftQuarantine(
  tx: Transaction<Db>,
  sha256: string,
): Promise<LiftedQuarantine | "unknown" | undefined> {
  await lockQuarantine(tx);
  const lifted = await tx.deleteFrom("quarantined_artifacts").where("sha256", "=", sha256).executeTakeFirst();
  if (lifted.numDeletedRows === 0n) return (await isKnown(tx, sha256)) ? undefined : "unknown";
  const forgotten = await tx.deleteFrom("artifact_rollbacks").where("sha256", "=", sha256).executeTakeFirst();
  return { hosts: Number(forgotten.numDeletedRows) };
}

async function isKnown(tx: Transaction<Db>, sha256: string): Promise<boolean> {
  for (const table of ["release_artifacts", "removed_artifacts"] as const) {
    const row = await tx.selectFrom(table).select("sha256").where("sha256", "=", sha256).executeTakeFirst();
    if (row !== undefined) return true;
  }
  return false;
}

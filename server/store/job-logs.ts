/** What versions that were rolled back said last. */
import type { Kysely, Transaction } from "kysely";
import type { JobId } from "../domain/ids.ts";
import type { Db } from "./schema.ts";

/** Keeps the log of a job. The first one stands. */
export async function keepJobLog(tx: Transaction<Db>, jobId: JobId, lines: readonly string[]): Promise<void> {
  await tx
    .insertInto("job_logs")
    .values({ job_id: jobId, lines: [...lines] })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** *Shape*: the last line last; empty when there is none. */
export async function findJobLog(db: Kysely<Db>, jobId: JobId): Promise<readonly string[]> {
  const row = await db.selectFrom("job_logs").select("lines").where("job_id", "=", jobId).executeTakeFirst();
  return row?.lines ?? [];
}

/**
 * One server process a data directory.
 *
 * The claim is a session's advisory lock in the cluster itself, on the server's own
 * connection (`application_name` tells whose). It ends with that connection, thus
 * with the process, however it dies. After a crash the database may take a moment
 * to notice, so a claim that is held is asked for again: briefly while its holder
 * lives, longer when the holder's process is gone.
 */
import type pg from "pg";
import type { Clock } from "../../domain/clock.ts";
import { ClusterInUseError } from "./cluster-error.ts";
import { statusOf } from "./file-status.ts";
import { pause } from "./pause.ts";

/** Two arbitrary numbers that no other lock of this product uses. */
const LOCK = [0x726f6c6c, 1] as const;
const ASK_AGAIN_MS = 100;
const LIVING_HOLDER_MS = 1_500;
const DEAD_HOLDER_MS = 30_000;

/**
 * Claims the cluster for this process, for as long as `client` stays connected.
 *
 * *Throws* ClusterInUseError when another process holds it.
 */
export async function claimCluster(
  client: pg.Client,
  dataDir: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const beganMs = clock.monotonicMs();
  for (;;) {
    const { rows } = await client.query<{ claimed: boolean }>("select pg_try_advisory_lock($1, $2) as claimed", [
      ...LOCK,
    ]);
    if (rows[0]?.claimed === true) return;
    const holder = await holderOf(client);
    const isAlive = holder === undefined || (await statusOf(`/proc/${holder}`)) !== undefined;
    const waitedMs = clock.monotonicMs() - beganMs;
    if (waitedMs > (isAlive ? LIVING_HOLDER_MS : DEAD_HOLDER_MS)) throw new ClusterInUseError(dataDir, holder);
    await pause(clock, ASK_AGAIN_MS, signal);
  }
}

async function holderOf(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `select holder.application_name as name
       from pg_locks claim join pg_stat_activity holder using (pid)
      where claim.locktype = 'advisory' and claim.granted
        and claim.classid = $1 and claim.objid = $2 and claim.objsubid = 2`,
    [...LOCK],
  );
  const pid = Number(/^rollcall-server:(\d+)$/.exec(rows[0]?.name ?? "")?.[1]);
  return Number.isSafeInteger(pid) ? pid : undefined;
}

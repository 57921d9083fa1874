/**
 * The servers that share this database. Each holds a lease on its own row and renews
 * it; once it has ended, whoever notices first frees the hosts whose sessions it held.
 * Time is the database's, read by the one who judges at its own renewal.
 *
 * Hosts are locked before their sessions are read: one that says Hello elsewhere at
 * that moment has either done so, or waits.
 */
import { sql, type Kysely, type Transaction } from "kysely";
import type { HostId, ReplicaId } from "../domain/ids.ts";
import type { OpenSession, Renewal } from "../replicas/ports.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

/** How a process and its database stand to each other. */
export interface RenewedReplica {
  readonly renewal: Renewal;
  /** The database's clock. *Shape*: `undefined` for one that was taken. */
  readonly at: Date | undefined;
}

/**
 * Takes up where the last process of this replica left off: its sessions are closed, and whoever was not
 * offline when it was last alive gets time to come back. The number of the process that starts.
 */
export async function startReplica(
  tx: Transaction<Db>,
  replicaId: ReplicaId,
  times: { readonly startGraceMs: number; readonly leaseMs: number },
): Promise<bigint> {
  await closeSessionsOf(tx, [replicaId], times.startGraceMs);
  // While another ran, hosts could come back, and who did not is offline.
  await sql`
    update hosts set offline_at = clock_timestamp() + ${milliseconds(times.startGraceMs)}
    where removed_at is null and offline_at > (select alive_at from replicas where id = ${replicaId})
      and not exists (
        select from replicas
        where id <> ${replicaId} and alive_at > clock_timestamp() - ${milliseconds(times.leaseMs)}
      )
  `.execute(tx);
  const row = await tx
    .insertInto("replicas")
    .values({ id: replicaId, freed_at: null })
    .onConflict((conflict) =>
      conflict.column("id").doUpdateSet({
        started_at: sql`clock_timestamp()`,
        alive_at: sql`clock_timestamp()`,
        freed_at: null,
        epoch: sql`replicas.epoch + 1`,
      }),
    )
    .returning("epoch")
    .executeTakeFirstOrThrow();
  return row.epoch;
}

/** Renews a replica's lease on its own row. */
export async function renewReplica(db: Kysely<Db>, replicaId: ReplicaId, epoch: bigint): Promise<RenewedReplica> {
  const { rows } = await sql<{ was_freed: boolean; alive_at: Date }>`
    update replicas set alive_at = clock_timestamp(), freed_at = null
    from (select id, freed_at from replicas where id = ${replicaId} for update) as former
    where replicas.id = former.id and replicas.epoch = ${epoch}
    returning former.freed_at is not null as was_freed, replicas.alive_at
  `.execute(db);
  const [row] = rows;
  if (row === undefined) return { renewal: "taken", at: undefined };
  return { renewal: row.was_freed ? "freed" : "held", at: row.alive_at };
}

/** Frees the hosts of every other replica whose lease had ended at `at`. */
export async function freeDeadReplicas(
  tx: Transaction<Db>,
  replicaId: ReplicaId,
  at: Date,
  times: { readonly leaseMs: number; readonly offlineAfterMs: number },
): Promise<readonly HostId[]> {
  const dead = await tx
    .updateTable("replicas")
    .set({ freed_at: sql<Date>`clock_timestamp()` })
    .where("id", "!=", replicaId)
    .where("freed_at", "is", null)
    .where("alive_at", "<", sql<Date>`${at}::timestamptz - ${milliseconds(times.leaseMs)}`)
    .returning("id")
    .execute();
  if (dead.length === 0) return [];
  return closeSessionsOf(
    tx,
    dead.map(({ id }) => id),
    times.offlineAfterMs,
  );
}

/** The sessions that are open in a replica's name. */
export async function listOpenSessions(db: Kysely<Db>, replicaId: ReplicaId): Promise<readonly OpenSession[]> {
  const rows = await db
    .selectFrom("agent_sessions")
    .select(["host_id", "epoch"])
    .where("replica_id", "=", replicaId)
    .where("closed_at", "is", null)
    .execute();
  return rows.map((row) => ({ hostId: row.host_id, epoch: row.epoch }));
}

/** Closes what is open in these replicas' names. The hosts, which go offline after a while unless they come back. */
async function closeSessionsOf(
  tx: Transaction<Db>,
  replicaIds: readonly ReplicaId[],
  offlineAfterMs: number,
): Promise<readonly HostId[]> {
  const { rows: locked } = await sql<{ id: HostId }>`
    select id from hosts
    where id in (select host_id from agent_sessions where replica_id = any(${replicaIds}) and closed_at is null)
    order by id for no key update
  `.execute(tx);
  if (locked.length === 0) return [];
  const closed = await tx
    .updateTable("agent_sessions")
    .set({ closed_at: sql<Date>`clock_timestamp()` })
    .where("host_id", "=", sql<HostId>`any(${locked.map(({ id }) => id)}::uuid[])`)
    .where("replica_id", "=", sql<ReplicaId>`any(${replicaIds})`)
    .where("closed_at", "is", null)
    .returning("host_id")
    .execute();
  const hostIds = closed.map((row) => row.host_id);
  await sql`
    update hosts set offline_at = clock_timestamp() + ${milliseconds(offlineAfterMs)}
    where id = any(${hostIds}::uuid[]) and removed_at is null
  `.execute(tx);
  return hostIds;
}

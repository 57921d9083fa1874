/**
 * Who may act where only one may: a row with a holder, an end and an epoch that rises
 * with each new holder. Time is the database's alone. A holder that stood still finds
 * its epoch passed, and what it writes is refused (fencing).
 */
import { sql, type Kysely, type Transaction } from "kysely";
import type { ReplicaId } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

/** Takes or prolongs a lease. Its epoch, or `undefined` while another holds it. */
export async function holdLease(
  db: Kysely<Db>,
  name: string,
  holder: ReplicaId,
  lifeMs: number,
): Promise<bigint | undefined> {
  const { rows } = await sql<{ epoch: bigint }>`
    insert into leases (name, holder, epoch, expires_at)
    values (${name}, ${holder}, 1, clock_timestamp() + ${milliseconds(lifeMs)})
    on conflict (name) do update set
      epoch = case
        when leases.holder = excluded.holder and leases.expires_at > clock_timestamp() then leases.epoch
        else leases.epoch + 1
      end,
      holder = excluded.holder,
      -- Not that of the row above: its clock was read before the wait for this row, which may outlast the lease.
      expires_at = clock_timestamp() + ${milliseconds(lifeMs)}
    where leases.holder = excluded.holder or leases.expires_at <= clock_timestamp()
    returning epoch
  `.execute(db);
  return rows[0]?.epoch;
}

/**
 * True while this holder's epoch is in force; it stays so until the transaction ends.
 *
 * The row is locked until then, so a holder that stands still within its transaction
 * would keep the lease for as long as it does: the database ends the transaction once
 * it idled for the life of a lease.
 */
export async function isLeaseInForce(
  tx: Transaction<Db>,
  name: string,
  holder: ReplicaId,
  epoch: bigint,
  lifeMs: number,
): Promise<boolean> {
  const { rows } = await sql`
    select set_config('idle_in_transaction_session_timeout', ${String(lifeMs)}::text, true) from leases
    where name = ${name} and holder = ${holder} and epoch = ${epoch} and expires_at > clock_timestamp() for share
  `.execute(tx);
  return rows.length > 0;
}

/** Gives a lease up, so that another need not wait for its end. */
export async function releaseLease(db: Kysely<Db>, name: string, holder: ReplicaId): Promise<void> {
  await db
    .updateTable("leases")
    .set({ expires_at: sql<Date>`clock_timestamp()` })
    .where("name", "=", name)
    .where("holder", "=", holder)
    .execute();
}

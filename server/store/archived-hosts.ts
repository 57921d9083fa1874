/** Hosts that count nowhere and are kept for their history. */
import { sql, type Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
import type { Db } from "./schema.ts";

/** Archives a host. False when it is archived already, removed or unknown. */
export async function archiveHost(tx: Transaction<Db>, hostId: HostId): Promise<boolean> {
  const row = await tx
    .updateTable("hosts")
    .set({ archived_at: sql<Date>`clock_timestamp()` })
    .where("id", "=", hostId)
    .where("removed_at", "is", null)
    .where("archived_at", "is", null)
    .returning("id")
    .executeTakeFirst();
  return row !== undefined;
}

/** Brings a host back. False when it is not archived. */
export async function unarchiveHost(tx: Transaction<Db>, hostId: HostId): Promise<boolean> {
  const row = await tx
    .updateTable("hosts")
    .set({ archived_at: null })
    .where("id", "=", hostId)
    .where("removed_at", "is", null)
    .where("archived_at", "is not", null)
    .returning("id")
    .executeTakeFirst();
  return row !== undefined;
}

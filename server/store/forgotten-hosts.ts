/** Hosts that enrolled after the backup that a database was restored from: it never heard of them. */
import { sql, type Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
import type { Db } from "./schema.ts";

/**
 * Adds such a host, whose name its first Hello tells. No row of a host is ever deleted, so what was removed stays out.
 *
 * *Shape*: false for a host that is known, or was, and where no backup was restored.
 */
export async function insertForgottenHost(tx: Transaction<Db>, hostId: HostId, generation: number): Promise<boolean> {
  const known = await tx.selectFrom("hosts").select("id").where("id", "=", hostId).executeTakeFirst();
  if (known !== undefined) return false;
  const { rows } = await sql`
    insert into hosts (id, hostname, os, arch, packages, credential_generation, offline_at)
    select ${hostId}::uuid, ${`host-${hostId.slice(0, 8)}`}, 'unknown', 'unknown', '[]', ${generation}::integer,
      clock_timestamp()
    where exists (select from audit_events where action = 'server.restored')
    on conflict (id) do nothing
    returning id
  `.execute(tx);
  return rows.length > 0;
}

import { sql, type Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
import type { Db } from "./schema.ts";

interface Chosen {
  readonly hostId: HostId;
  readonly hostname: string;
  readonly fromVersion: string | null;
}

/** Online hosts that do not run this version, by hostname. */
export async function chooseBehind(tx: Transaction<Db>, toVersion: string): Promise<readonly Chosen[]> {
  const { rows } = await sql<Chosen>`
    select id as "hostId", hostname, agent_version as "fromVersion" from hosts
    where removed_at is null and (offline_at is null or offline_at > clock_timestamp())
      and agent_version is distinct from ${toVersion}
    order by hostname, id
  `.execute(tx);
  return rows;
}

/** These hosts in this order; those that are unknown or removed are left out. */
export async function chooseHosts(tx: Transaction<Db>, ids: readonly HostId[]): Promise<readonly Chosen[]> {
  const { rows } = await sql<Chosen>`
    select hosts.id as "hostId", hostname, agent_version as "fromVersion"
    from unnest(${[...ids]}::uuid[]) with ordinality as asked (id, position)
    join hosts on hosts.id = asked.id
    where removed_at is null
    order by asked.position
  `.execute(tx);
  return rows;
}

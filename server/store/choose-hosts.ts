import { sql, type Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import { hasLabels } from "./host-labels.ts";
import type { Db } from "./schema.ts";

interface Chosen {
  readonly hostId: HostId;
  readonly hostname: string;
  readonly fromVersion: string | null;
}

/** Online hosts with all of these labels that do not run this version, by hostname. */
export async function chooseBehind(tx: Transaction<Db>, toVersion: string, labels: Labels): Promise<readonly Chosen[]> {
  const { rows } = await sql<Chosen>`
    select id as "hostId", hostname, agent_version as "fromVersion" from hosts
    where removed_at is null and archived_at is null and (offline_at is null or offline_at > clock_timestamp())
      and agent_version is distinct from ${toVersion} and ${hasLabels(labels)}
    order by hostname, id
  `.execute(tx);
  return rows;
}

/** These hosts in this order; those that are unknown, removed, archived or without one of the labels are left out. */
export async function chooseHosts(
  tx: Transaction<Db>,
  ids: readonly HostId[],
  labels: Labels,
): Promise<readonly Chosen[]> {
  const { rows } = await sql<Chosen>`
    select hosts.id as "hostId", hostname, agent_version as "fromVersion"
    from unnest(${[...ids]}::uuid[]) with ordinality as asked (id, position)
    join hosts on hosts.id = asked.id
    where removed_at is null and archived_at is null and ${hasLabels(labels)}
    order by asked.position
  `.execute(tx);
  return rows;
}

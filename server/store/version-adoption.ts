import { sql, type Kysely } from "kysely";
import { AGENT_PACKAGE } from "../domain/host.ts";
import type { Db } from "./schema.ts";

/** How many hosts ran a version on a day. */
export interface VersionAdoption {
  /** `YYYY-MM-DD`, in UTC. */
  readonly day: string;
  readonly version: string;
  readonly hosts: number;
}

/** Notes how many hosts run each version; the last note of a day is the one that stays. */
export async function recordAdoption(db: Kysely<Db>): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`
      insert into version_adoption (day, package, version, hosts)
      select (clock_timestamp() at time zone 'UTC')::date, ${AGENT_PACKAGE}, agent_version, count(*)
      from hosts where removed_at is null and archived_at is null and agent_version is not null group by agent_version
      on conflict (day, package, version) do update set hosts = excluded.hosts
    `.execute(tx);
    // A version that nobody runs any more was still run earlier today, by nobody now.
    await sql`
      update version_adoption set hosts = 0
      where day = (clock_timestamp() at time zone 'UTC')::date and package = ${AGENT_PACKAGE}
        and version not in (select agent_version from hosts where removed_at is null and archived_at is null and agent_version is not null)
    `.execute(tx);
  });
}

/** The notes of the last days, by day, then version. */
export async function listAdoption(db: Kysely<Db>, days: number): Promise<readonly VersionAdoption[]> {
  const { rows } = await sql<VersionAdoption>`
    select to_char(day, 'YYYY-MM-DD') as day, version, hosts from version_adoption
    where package = ${AGENT_PACKAGE} and day > (clock_timestamp() at time zone 'UTC')::date - ${days}::integer
    order by day, version
  `.execute(db);
  return rows;
}

import type pg from "pg";

/** What the rows of the fleet say. */
export interface FleetFill {
  readonly hosts: number;
  readonly oldVersion: string;
  readonly newVersion: string;
}

/**
 * Puts a fleet into the database as years of use would have left it: every host has
 * updates behind it, every fourth is out of date, some failed or are offline.
 */
export async function fillFleet(database: pg.Client, { hosts, oldVersion, newVersion }: FleetFill): Promise<void> {
  await database.query(
    `insert into hosts (id, hostname, os, arch, agent_version, last_seen_at, offline_at)
     select gen_random_uuid(), 'bench-' || lpad(n::text, 5, '0'), 'linux',
            case when n % 5 = 0 then 'arm64' else 'x64' end,
            case when n % 4 = 0 then $2 else $3 end,
            clock_timestamp() - n % 90 * interval '1 minute',
            case when n % 50 = 0 then clock_timestamp() - n % 90 * interval '1 minute' end
     from generate_series(1, $1::int) as n`,
    [hosts, oldVersion, newVersion],
  );
  await database.query(
    `insert into jobs (id, host_id, kind, package, from_version, to_version, manifest_sha256, state, reason,
                       requested_by, created_at, ended_at, last_deadline_at)
     select gen_random_uuid(), hosts.id, 'update', 'rollcall-agent', $1, $2, '\\x00',
            case when agent_version = $2 then 'succeeded' else 'failed' end,
            case when agent_version = $2 then null else 'download_failed' end,
            'bench', clock_timestamp() - age * interval '1 day', clock_timestamp() - age * interval '1 day',
            clock_timestamp()
     from hosts, generate_series(1, 3) as age where agent_version = $2 or right(hostname, 2) in ('04', '48')`,
    [oldVersion, newVersion],
  );
  await database.query("analyze");
}

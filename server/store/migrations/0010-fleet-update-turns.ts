import { sql, type Kysely } from "kysely";

/** Finds the next hosts of a fleet update, and those under way, without a look at the ones behind or ahead of them. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  "drop index fleet_update_hosts_unsettled",
  "create index fleet_update_hosts_pending on fleet_update_hosts (fleet_update_id, position) where state = 'pending'",
  "create index fleet_update_hosts_updating on fleet_update_hosts (fleet_update_id) where state = 'updating'",
  "create index fleet_update_hosts_failed on fleet_update_hosts (fleet_update_id) where state = 'failed'",
];

import { sql, type Kysely } from "kysely";

/** Jobs live as long as the operator says; who speaks of one afterwards keeps its id, as the audit log always did. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  "alter table fleet_update_hosts drop constraint fleet_update_hosts_job_id_fkey",
  "alter table alerts drop constraint alerts_job_id_fkey",
];

import { sql, type Kysely } from "kysely";

/** Tokens by which another machine takes a host's place. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  "alter table hosts add column replaced_at timestamptz",
  // Credentials of a lower generation were given to a machine that was replaced.
  "alter table hosts add column replaced_generation integer not null default 0",
  "alter table enrollment_tokens add column replaces_host_id uuid references hosts (id)",
  "alter table enrollment_tokens add check (replaces_host_id is null or max_uses = 1)",
];

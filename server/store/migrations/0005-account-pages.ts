import { sql, type Kysely } from "kysely";

/** An order for sessions and tokens that holds from page to page. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // A page ends at an instant as JavaScript knows it: finer ones would be passed over.
  "alter table user_sessions alter column created_at type timestamptz(3)",
  "alter table api_tokens alter column created_at type timestamptz(3)",
  "drop index user_sessions_by_user",
  "create index user_sessions_by_user on user_sessions (user_id, created_at desc, id desc)",
  "drop index api_tokens_by_age",
  "create index api_tokens_by_age on api_tokens (created_at desc, id desc)",
];

import type pg from "pg";
import { APP_ROLE, DATABASE, OWNER_ROLE } from "./configuration.ts";

/**
 * Makes the application's role and the server's database where they are missing.
 * Repeated at every start, so that a start that was killed half-way does no harm.
 */
export async function ensureRoles(client: pg.Client): Promise<void> {
  if (!(await exists(client, "select 1 from pg_roles where rolname = $1", APP_ROLE))) {
    await client.query(`create role ${APP_ROLE} login nosuperuser nocreatedb nocreaterole noreplication`);
  }
  if (!(await exists(client, "select 1 from pg_database where datname = $1", DATABASE))) {
    await client.query(`create database ${DATABASE} owner ${OWNER_ROLE}`);
  }
  // PUBLIC may connect to any database and make temporary tables there unless told otherwise.
  for (const name of [DATABASE, "postgres", "template1"])
    await client.query(`revoke all on database ${name} from public`);
  await client.query(`grant connect on database ${DATABASE} to ${APP_ROLE}`);
}

async function exists(client: pg.Client, question: string, name: string): Promise<boolean> {
  return (await client.query(question, [name])).rowCount === 1;
}

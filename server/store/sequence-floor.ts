import { sql } from "kysely";
import { AGENT_PACKAGE } from "../domain/host.ts";

/**
 * The sequence floor of a row of `hosts`, as its next job will meet it: the newest
 * key set travels with the job and may bring another floor, also a lower one.
 */
export const SEQUENCE_FLOOR = sql<bigint>`coalesce(
  (select newest.sequence_floor from key_sets as newest
    where newest.package = ${AGENT_PACKAGE} and newest.sequence > hosts.keys_sequence),
  hosts.sequence_floor)`;

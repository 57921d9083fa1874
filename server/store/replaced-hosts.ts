/** Hosts whose machine is replaced: the same row and history, another credential. */
import { sql, type Transaction } from "kysely";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { Db } from "./schema.ts";

/**
 * How far the generation of a credential leaps: beyond whatever the machine before was given since the oldest backup
 * that somebody may restore. A credential is rotated once an update, or once in 30 days.
 */
const LEAP = 1_000;

/** A machine that takes the place of another. */
export interface Replacement {
  readonly hostId: HostId;
  readonly hostname: string;
  readonly os: string;
  readonly arch: string;
}

/** The session that the machine before still had open. */
export interface VoidedSession {
  readonly epoch: SessionEpoch;
  readonly instanceId: string;
}

/** The new generation of the host's credential, and the session that was ended with the older ones. */
export interface ReplacedHost {
  readonly generation: number;
  readonly session: VoidedSession | undefined;
}

/** Gives a host another machine, which is offline until its first Hello. `undefined` when the host is unknown or removed. */
export async function replaceHost(tx: Transaction<Db>, machine: Replacement): Promise<ReplacedHost | undefined> {
  const generation = sql<number>`credential_generation + ${LEAP}::integer`;
  const row = await tx
    .updateTable("hosts")
    .set({
      hostname: machine.hostname,
      os: machine.os,
      arch: machine.arch,
      credential_generation: generation,
      replaced_generation: generation,
      replaced_at: sql<Date>`clock_timestamp()`,
      credential_rotated_at: sql<Date>`clock_timestamp()`,
      identity_duplicated_at: null,
      archived_at: null,
      offline_at: sql<Date>`clock_timestamp()`,
      // What the machine before had seen, this one has not.
      sequence_floor: 0n,
      keys_sequence: 0n,
    })
    .where("id", "=", machine.hostId)
    .where("removed_at", "is", null)
    .returning("credential_generation")
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const session = await tx
    .updateTable("agent_sessions")
    .set({ closed_at: sql<Date>`clock_timestamp()` })
    .where("host_id", "=", machine.hostId)
    .where("closed_at", "is", null)
    .returning(["epoch", "instance_id as instanceId"])
    .executeTakeFirst();
  return { generation: row.credential_generation, session };
}

/** Whether a generation of a host's credential is that of a machine which was replaced. */
export async function isOfReplaced(tx: Transaction<Db>, hostId: HostId, generation: number): Promise<boolean> {
  const row = await tx
    .selectFrom("hosts")
    .select("id")
    .where("id", "=", hostId)
    .where("replaced_generation", ">", generation)
    .executeTakeFirst();
  return row !== undefined;
}

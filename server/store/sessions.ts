/**
 * Sessions and liveness. A host is offline when `offline_at` has passed: it is null
 * while a session is open and lies ahead for a while after it closed. That one
 * column is the only thing anybody asks.
 */
import { sql, type Kysely, type Transaction } from "kysely";
import type { PackageVersion } from "../domain/host.ts";
import type { HostId, ReplicaId, SessionEpoch } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** What a Hello says about the host itself. */
export interface HelloFacts {
  readonly hostId: HostId;
  readonly replicaId: ReplicaId;
  readonly instanceId: string;
  readonly hostname: string;
  readonly os: string;
  readonly arch: string;
  readonly agentVersion: string;
  readonly installRevision: number;
  readonly packages: readonly PackageVersion[];
  readonly sequenceFloor: number;
  readonly keysSequence: number;
}

/** A session that was just opened. */
export interface OpenedSession {
  readonly epoch: SessionEpoch;
  /** The generation of the credential that the host uses. */
  readonly credentialGeneration: number;
  readonly isRotationDue: boolean;
  /** The process whose open session at another replica this one took over from. */
  readonly replacedElsewhere: string | undefined;
}

/** A credential is rotated when it is this old, and after each update. */
const CREDENTIAL_LIFE_DAYS = 30;

/**
 * Opens a session, which voids every older one of the host, and stores what the Hello said.
 *
 * *Shape*: `undefined` when the host does not exist or was removed.
 */
export async function openSession(tx: Transaction<Db>, facts: HelloFacts): Promise<OpenedSession | undefined> {
  const host = await tx
    .updateTable("hosts")
    .set({
      hostname: facts.hostname,
      os: facts.os,
      arch: facts.arch,
      agent_version: facts.agentVersion,
      install_revision: facts.installRevision,
      packages: JSON.stringify(facts.packages),
      sequence_floor: BigInt(facts.sequenceFloor),
      keys_sequence: BigInt(facts.keysSequence),
      last_seen_at: sql<Date>`clock_timestamp()`,
      offline_at: null,
    })
    .where("id", "=", facts.hostId)
    .where("removed_at", "is", null)
    .returning([
      "credential_generation",
      sql<boolean>`credential_rotated_at < clock_timestamp() - make_interval(days => ${CREDENTIAL_LIFE_DAYS}::integer)`.as(
        "due",
      ),
    ])
    .executeTakeFirst();
  if (host === undefined) return undefined;
  const session = await tx
    .with("former", (former) =>
      former
        .selectFrom("agent_sessions")
        .select("instance_id")
        .where("host_id", "=", facts.hostId)
        .where("replica_id", "!=", facts.replicaId)
        .where("closed_at", "is", null),
    )
    .insertInto("agent_sessions")
    .values({
      host_id: facts.hostId,
      replica_id: facts.replicaId,
      epoch: sql<SessionEpoch>`nextval('session_epochs')`,
      instance_id: facts.instanceId,
      closed_at: null,
    })
    .onConflict((conflict) =>
      conflict.column("host_id").doUpdateSet({
        replica_id: sql`excluded.replica_id`,
        epoch: sql`excluded.epoch`,
        instance_id: sql`excluded.instance_id`,
        opened_at: sql`excluded.opened_at`,
        closed_at: null,
      }),
    )
    .returning(["epoch", sql<string | null>`(select instance_id from former)`.as("replaced")])
    .executeTakeFirstOrThrow();
  return {
    epoch: session.epoch,
    credentialGeneration: host.credential_generation,
    isRotationDue: host.due,
    replacedElsewhere: session.replaced ?? undefined,
  };
}

/** Closes a session; its host goes offline after a while unless another opens. Nothing happens to a newer session. */
export async function closeSession(
  tx: Transaction<Db>,
  hostId: HostId,
  epoch: SessionEpoch,
  offlineAfterMs: number,
): Promise<boolean> {
  const host = await tx.selectFrom("hosts").select("id").where("id", "=", hostId).forNoKeyUpdate().executeTakeFirst();
  if (host === undefined) return false;
  const closed = await tx
    .updateTable("agent_sessions")
    .set({ closed_at: sql<Date>`clock_timestamp()` })
    .where("host_id", "=", hostId)
    .where("epoch", "=", epoch)
    .where("closed_at", "is", null)
    .returning("host_id")
    .executeTakeFirst();
  if (closed === undefined) return false;
  await tx
    .updateTable("hosts")
    .set({
      last_seen_at: sql<Date>`clock_timestamp()`,
      offline_at: sql<Date>`clock_timestamp() + ${milliseconds(offlineAfterMs)}`,
    })
    .where("id", "=", hostId)
    .execute();
  return true;
}

/** True while this is the host's newest session; it stays so until the transaction ends. */
export async function holdSession(tx: Transaction<Db>, hostId: HostId, epoch: SessionEpoch): Promise<boolean> {
  const session = await tx
    .selectFrom("agent_sessions")
    .select("epoch")
    .where("host_id", "=", hostId)
    .where("epoch", "=", epoch)
    .where("closed_at", "is", null)
    .forShare()
    .executeTakeFirst();
  return session !== undefined;
}

/** Marks a host whose credential two machines use, or clears the mark. */
export async function markIdentityDuplicated(db: Executor, hostId: HostId): Promise<void> {
  await db
    .updateTable("hosts")
    .set({ identity_duplicated_at: sql<Date>`clock_timestamp()` })
    .where("id", "=", hostId)
    .execute();
}

/** Notes coarsely that every host with an open session of this replica was seen. */
export async function touchHosts(db: Executor, replicaId: ReplicaId): Promise<void> {
  await sql`
    update hosts set last_seen_at = clock_timestamp()
    from agent_sessions
    where agent_sessions.host_id = hosts.id and agent_sessions.replica_id = ${replicaId} and agent_sessions.closed_at is null
  `.execute(db);
}

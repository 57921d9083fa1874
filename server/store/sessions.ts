/**
 * Sessions and liveness. A host is offline when `offline_at` has passed: it is null
 * while a session is open and lies ahead for a while after it closed. That one
 * column is the only thing anybody asks.
 */
import { sql, type Kysely, type Transaction } from "kysely";
import { AGENT_PACKAGE, type PackageVersion } from "../domain/host.ts";
import type { HostId, ReplicaId, SessionEpoch } from "../domain/ids.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** What a Hello says about the host itself. */
export interface HelloFacts {
  readonly hostId: HostId;
  readonly replicaId: ReplicaId;
  readonly instanceId: string;
  /** Of the credential that it showed. */
  readonly credentialGeneration: number;
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
  /** Of the agent itself. */
  readonly targetVersion: string | undefined;
}

/** A credential is rotated when it is this old, and after each update. */
const CREDENTIAL_LIFE_DAYS = 30;

/**
 * Opens sessions, which voids every older one of their hosts, and stores what each Hello said. One a host.
 *
 * *Shape*: an answer for each, in order; `undefined` when the host does not exist or was removed, or
 * when a newer generation of its credential is in use: who let it in may not have heard of that yet.
 */
export async function openSessions(
  tx: Transaction<Db>,
  hellos: readonly HelloFacts[],
): Promise<readonly (OpenedSession | undefined)[]> {
  const { rows } = await sql<OpenedRow>`
    with said as (
      select * from unnest(
        ${hellos.map((hello) => hello.hostId)}::uuid[],
        ${hellos.map((hello) => hello.replicaId)}::text[],
        ${hellos.map((hello) => hello.instanceId)}::uuid[],
        ${hellos.map((hello) => hello.hostname)}::text[],
        ${hellos.map((hello) => hello.os)}::text[],
        ${hellos.map((hello) => hello.arch)}::text[],
        ${hellos.map((hello) => hello.agentVersion)}::text[],
        ${hellos.map((hello) => hello.installRevision)}::integer[],
        ${hellos.map((hello) => JSON.stringify(hello.packages))}::jsonb[],
        ${hellos.map((hello) => hello.sequenceFloor)}::bigint[],
        ${hellos.map((hello) => hello.keysSequence)}::bigint[],
        ${hellos.map((hello) => hello.credentialGeneration)}::integer[]
      ) as said (host_id, replica_id, instance_id, hostname, os, arch, agent_version, install_revision, packages,
        sequence_floor, keys_sequence, generation)
    ), locked as (
      select id from hosts where id in (select host_id from said) and removed_at is null
      order by id for no key update
    ), former as (
      -- As it is once its host is locked: another replica may just have written it.
      select held.* from locked join agent_sessions as held on held.host_id = locked.id for update of held
    ), host as (
      update hosts set hostname = said.hostname, os = said.os, arch = said.arch, agent_version = said.agent_version,
        install_revision = said.install_revision, packages = said.packages, sequence_floor = said.sequence_floor,
        keys_sequence = said.keys_sequence, last_seen_at = clock_timestamp(), offline_at = null
      from locked join said on said.host_id = locked.id left join former on former.host_id = locked.id
      where hosts.id = locked.id and hosts.credential_generation <= said.generation
      returning hosts.id, credential_generation, said.replica_id, said.instance_id,
        credential_rotated_at < clock_timestamp() - make_interval(days => ${CREDENTIAL_LIFE_DAYS}::integer) as is_due,
        case when former.replica_id <> said.replica_id and former.closed_at is null then former.instance_id end
          as replaced_elsewhere
    ), session as (
      insert into agent_sessions as held (host_id, replica_id, epoch, instance_id)
      select id, replica_id, nextval('session_epochs'), instance_id from host
      on conflict (host_id) do update set replica_id = excluded.replica_id, epoch = excluded.epoch,
        instance_id = excluded.instance_id, opened_at = excluded.opened_at, closed_at = null
      returning held.host_id, held.epoch
    )
    select host.id, session.epoch, host.credential_generation, host.is_due, host.replaced_elsewhere,
      (select version from target_versions where package = ${AGENT_PACKAGE}) as target_version
    from host join session on session.host_id = host.id
  `.execute(tx);
  const opened = new Map(rows.map((row) => [row.id, toOpenedSession(row)]));
  return hellos.map((hello) => opened.get(hello.hostId));
}

interface OpenedRow {
  readonly id: HostId;
  readonly epoch: SessionEpoch;
  readonly credential_generation: number;
  readonly is_due: boolean;
  readonly replaced_elsewhere: string | null;
  readonly target_version: string | null;
}

function toOpenedSession(row: OpenedRow): OpenedSession {
  return {
    epoch: row.epoch,
    credentialGeneration: row.credential_generation,
    isRotationDue: row.is_due,
    replacedElsewhere: row.replaced_elsewhere ?? undefined,
    targetVersion: row.target_version ?? undefined,
  };
}

/** One session of a host, as its stream knows it. */
export interface SessionKey {
  readonly hostId: HostId;
  readonly epoch: SessionEpoch;
}

/**
 * Closes sessions; their hosts go offline after a while unless another opens. Nothing happens to a newer session.
 *
 * *Shape*: for each, in order, whether it was open until now.
 */
export async function closeSessions(
  tx: Transaction<Db>,
  sessions: readonly SessionKey[],
  offlineAfterMs: number,
): Promise<readonly boolean[]> {
  const { rows } = await sql<{ host_id: HostId }>`
    with ended as (
      select * from unnest(${hostIdsOf(sessions)}::uuid[], ${epochsOf(sessions)}::bigint[]) as ended (host_id, epoch)
    ), locked as (
      select id from hosts where id in (select host_id from ended) order by id for no key update
    ), closed as (
      update agent_sessions set closed_at = clock_timestamp()
      from locked join ended on ended.host_id = locked.id
      where agent_sessions.host_id = locked.id and agent_sessions.epoch = ended.epoch
        and agent_sessions.closed_at is null
      returning agent_sessions.host_id
    )
    update hosts set last_seen_at = clock_timestamp(), offline_at = clock_timestamp() + ${milliseconds(offlineAfterMs)}
    from closed where hosts.id = closed.host_id
    returning hosts.id as host_id
  `.execute(tx);
  const closed = new Set(rows.map((row) => row.host_id));
  return sessions.map(({ hostId }) => closed.has(hostId));
}

/**
 * Whether these are their hosts' newest sessions; they stay so until the transaction ends.
 *
 * *Shape*: for each, in order.
 */
export async function holdSessions(tx: Transaction<Db>, sessions: readonly SessionKey[]): Promise<readonly boolean[]> {
  const { rows } = await sql<{ host_id: HostId }>`
    select agent_sessions.host_id from agent_sessions
    join unnest(${hostIdsOf(sessions)}::uuid[], ${epochsOf(sessions)}::bigint[]) as said (host_id, epoch)
      on said.host_id = agent_sessions.host_id and said.epoch = agent_sessions.epoch
    where closed_at is null
    order by agent_sessions.host_id for share of agent_sessions
  `.execute(tx);
  const held = new Set(rows.map((row) => row.host_id));
  return sessions.map(({ hostId }) => held.has(hostId));
}

function hostIdsOf(sessions: readonly SessionKey[]): readonly HostId[] {
  return sessions.map(({ hostId }) => hostId);
}

function epochsOf(sessions: readonly SessionKey[]): readonly SessionEpoch[] {
  return sessions.map(({ epoch }) => epoch);
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

/** Questions about fleet updates and the hosts in them. */
import { sql, type Kysely, type Selectable, type Transaction } from "kysely";
import {
  countFleetHosts,
  type FleetHost,
  type FleetHostState,
  type FleetTally,
  type FleetUpdate,
  type FleetUpdatePolicy,
  type Halt,
} from "../domain/fleet-update.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import type { Db, FleetUpdatesTable } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** Where a page of fleet updates begins: after this one, newest first. */
export interface FleetUpdateCursor {
  readonly createdAt: Date;
  readonly id: FleetUpdateId;
}

/** A fleet update about to start. */
export interface NewFleetUpdate {
  readonly id: FleetUpdateId;
  readonly package: string;
  readonly toVersion: string;
  readonly policy: FleetUpdatePolicy;
  readonly labels: Labels;
  readonly startedBy: string;
  readonly retryOf: FleetUpdateId | null;
  /** In their order. */
  readonly hosts: readonly {
    readonly hostId: HostId;
    readonly hostname: string;
    readonly fromVersion: string | null;
  }[];
}

/** Writes a fleet update down as running. Throws the driver's unique violation while another runs. */
export async function insertFleetUpdate(tx: Transaction<Db>, update: NewFleetUpdate): Promise<FleetUpdate> {
  const row = await tx
    .insertInto("fleet_updates")
    .values({
      id: update.id,
      package: update.package,
      to_version: update.toVersion,
      state: "running",
      max_in_flight: update.policy.maxInFlight,
      max_failures: update.policy.maxFailures,
      offline: update.policy.offline,
      started_by: update.startedBy,
      retry_of: update.retryOf,
      labels: JSON.stringify(update.labels),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await sql`
    insert into fleet_update_hosts (fleet_update_id, position, host_id, hostname, state, from_version)
    select ${update.id}, ordinality - 1, host_id, hostname, 'pending', from_version
    from unnest(
      ${update.hosts.map((host) => host.hostId)}::uuid[],
      ${update.hosts.map((host) => host.hostname)}::text[],
      ${update.hosts.map((host) => host.fromVersion)}::text[]
    ) with ordinality as chosen (host_id, hostname, from_version, ordinality)
  `.execute(tx);
  return toFleetUpdate(row);
}

/** The running fleet update, or `undefined`. */
export async function findRunningFleetUpdate(db: Executor): Promise<FleetUpdate | undefined> {
  const row = await db.selectFrom("fleet_updates").selectAll().where("state", "=", "running").executeTakeFirst();
  return row && toFleetUpdate(row);
}

/** These fleet updates, in no particular order. */
export async function findFleetUpdates(db: Executor, ids: readonly FleetUpdateId[]): Promise<readonly FleetUpdate[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom("fleet_updates")
    .selectAll()
    .where("id", "in", [...ids])
    .execute();
  return rows.map(toFleetUpdate);
}

/** A page of fleet updates, newest first. */
export async function listFleetUpdates(
  db: Executor,
  query: { readonly after?: FleetUpdateCursor; readonly limit: number },
): Promise<readonly FleetUpdate[]> {
  let updates = db.selectFrom("fleet_updates").selectAll();
  if (query.after !== undefined) {
    updates = updates.where(sql<boolean>`(created_at, id) < (${query.after.createdAt}, ${query.after.id}::uuid)`);
  }
  const rows = await updates.orderBy("created_at", "desc").orderBy("id", "desc").limit(query.limit).execute();
  return rows.map(toFleetUpdate);
}

/** What the hosts of each of these fleet updates add up to. */
export async function tallyHostsOf(
  db: Executor,
  ids: readonly FleetUpdateId[],
): Promise<ReadonlyMap<FleetUpdateId, FleetTally>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("fleet_update_hosts")
    .leftJoin("jobs", "jobs.id", "fleet_update_hosts.job_id")
    .select([
      "fleet_update_hosts.fleet_update_id",
      "fleet_update_hosts.state",
      sql<bigint>`count(*)`.as("hosts"),
      sql<bigint>`coalesce(sum(jobs.bytes_delivered), 0)::bigint`.as("bytes_delivered"),
      sql<bigint>`coalesce(sum(jobs.bytes_saved), 0)::bigint`.as("bytes_saved"),
    ])
    .where("fleet_update_hosts.fleet_update_id", "in", [...ids])
    .groupBy(["fleet_update_hosts.fleet_update_id", "fleet_update_hosts.state"])
    .execute();
  const byId = Map.groupBy(rows, (row) => row.fleet_update_id);
  return new Map(ids.map((id) => [id, toTally(byId.get(id) ?? [])]));
}

interface TallyRow {
  readonly state: FleetHostState;
  readonly hosts: bigint;
  readonly bytes_delivered: bigint;
  readonly bytes_saved: bigint;
}

function toTally(rows: readonly TallyRow[]): FleetTally {
  const none = countFleetHosts([]);
  return {
    hosts: { ...none, ...Object.fromEntries(rows.map(({ state, hosts }) => [state, Number(hosts)])) },
    bytesDelivered: rows.reduce((sum, row) => sum + Number(row.bytes_delivered), 0),
    bytesSaved: rows.reduce((sum, row) => sum + Number(row.bytes_saved), 0),
  };
}

/** Every host of a fleet update, in its order. */
export async function listHostsOf(db: Executor, id: FleetUpdateId): Promise<readonly FleetHost[]> {
  const rows = await db
    .selectFrom("fleet_update_hosts")
    .selectAll()
    .where("fleet_update_id", "=", id)
    .orderBy("position")
    .execute();
  return rows.map((row) => ({
    hostId: row.host_id,
    hostname: row.hostname,
    position: row.position,
    state: row.state,
    reason: row.reason,
    fromVersion: row.from_version,
    jobId: row.job_id,
  }));
}

/** Fleet updates with something left to do: the running one, and those whose hosts are watched to their end. */
export async function listUnsettledFleetUpdates(db: Executor): Promise<readonly FleetUpdateId[]> {
  const { rows } = await sql<{ id: FleetUpdateId }>`
    select id from fleet_updates where state = 'running'
    union
    select fleet_update_id from fleet_update_hosts where state = 'updating'
  `.execute(db);
  return rows.map((row) => row.id);
}

/** One fleet update, locked, or `undefined`. */
export async function lockFleetUpdate(tx: Transaction<Db>, id: FleetUpdateId): Promise<FleetUpdate | undefined> {
  const row = await tx.selectFrom("fleet_updates").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  return row && toFleetUpdate(row);
}

/** How many of its hosts are updating. Read under the fleet update's lock. */
export async function countUpdating(tx: Transaction<Db>, id: FleetUpdateId): Promise<number> {
  const row = await tx
    .selectFrom("fleet_update_hosts")
    .select(sql<bigint>`count(*)`.as("hosts"))
    .where("fleet_update_id", "=", id)
    .where("state", "=", "updating")
    .executeTakeFirstOrThrow();
  return Number(row.hosts);
}

/** Ends a running fleet update. */
export async function endFleetUpdate(
  tx: Transaction<Db>,
  id: FleetUpdateId,
  end: { readonly state: "completed" | "cancelled" } | { readonly state: "halted"; readonly halt: Halt },
): Promise<FleetUpdate> {
  const row = await tx
    .updateTable("fleet_updates")
    .set({
      state: end.state,
      changed_at: sql<Date>`clock_timestamp()`,
      ended_at: sql<Date>`clock_timestamp()`,
      ...(end.state === "halted" ? { halted_host_id: end.halt.hostId, halt_reason: end.halt.reason } : {}),
    })
    .where("id", "=", id)
    .where("state", "=", "running")
    .returningAll()
    .executeTakeFirstOrThrow();
  return toFleetUpdate(row);
}

/** Where a host of a fleet update goes, if it still is where it was. */
export interface FleetHostMove {
  readonly fleetUpdateId: FleetUpdateId;
  readonly hostId: HostId;
  readonly from: FleetHostState;
  readonly state: FleetHostState;
  readonly reason: string | null;
  /** They stay as they are where these are null. */
  readonly jobId: JobId | null;
  readonly fromVersion: string | null;
}

/**
 * Moves hosts on that still are where they were.
 *
 * *Shape*: for each, in order, whether it was.
 */
export async function moveFleetHosts(
  tx: Transaction<Db>,
  moves: readonly FleetHostMove[],
): Promise<readonly boolean[]> {
  const { rows } = await sql<{ host_id: HostId }>`
    update fleet_update_hosts as place set state = move.state, reason = move.reason, changed_at = clock_timestamp(),
      job_id = coalesce(move.job_id, place.job_id), from_version = coalesce(move.from_version, place.from_version)
    from unnest(
      ${moves.map((move) => move.fleetUpdateId)}::uuid[],
      ${moves.map((move) => move.hostId)}::uuid[],
      ${moves.map((move) => move.from)}::text[],
      ${moves.map((move) => move.state)}::text[],
      ${moves.map((move) => move.reason)}::text[],
      ${moves.map((move) => move.jobId)}::uuid[],
      ${moves.map((move) => move.fromVersion)}::text[]
    ) as move (fleet_update_id, host_id, old_state, state, reason, job_id, from_version)
    where place.fleet_update_id = move.fleet_update_id and place.host_id = move.host_id and place.state = move.old_state
    returning place.host_id
  `.execute(tx);
  const moved = new Set(rows.map((row) => row.host_id));
  return moves.map(({ hostId }) => moved.has(hostId));
}

/** Which of these hosts are pending in a fleet update. Read under its lock. */
export async function listPending(
  tx: Transaction<Db>,
  id: FleetUpdateId,
  hostIds: readonly HostId[],
): Promise<ReadonlySet<HostId>> {
  const rows = await tx
    .selectFrom("fleet_update_hosts")
    .select("host_id")
    .where("fleet_update_id", "=", id)
    .where("host_id", "in", [...hostIds])
    .where("state", "=", "pending")
    .execute();
  return new Set(rows.map((row) => row.host_id));
}

function toFleetUpdate(row: Selectable<FleetUpdatesTable>): FleetUpdate {
  return {
    id: row.id,
    package: row.package,
    toVersion: row.to_version,
    state: row.state,
    policy: { maxInFlight: row.max_in_flight, maxFailures: row.max_failures, offline: row.offline },
    labels: row.labels,
    halt: row.halted_host_id === null ? null : { hostId: row.halted_host_id, reason: row.halt_reason ?? "" },
    startedBy: row.started_by,
    retryOf: row.retry_of,
    createdAt: row.created_at,
    changedAt: row.changed_at,
    endedAt: row.ended_at,
  };
}

/** The questions about fleet updates and their lease, answered as the real store answers them. */
import { findDispatchRefusal } from "../../server/domain/dispatch-check.ts";
import { platformOf } from "../../server/domain/host.ts";
import type { FleetUpdate } from "../../server/domain/fleet-update.ts";
import type { FleetUpdateId, ReplicaId } from "../../server/domain/ids.ts";
import type { FleetSnapshot, PlannedHost } from "../../server/domain/plan-fleet-update.ts";
import type { UpdateTransaction } from "../../server/watcher/ports.ts";
import type { ChosenHost, FleetTransaction } from "../../server/worker/ports.ts";
import type { FleetRow, HostRow, MemoryDatabase, PlaceRow, TransactionNotes } from "./memory-database.ts";
import { isOnline, isQuarantined } from "./memory-updates.ts";

const LEASE = "fleet_updates";

type FleetQuestions = Omit<FleetTransaction, keyof UpdateTransaction>;

/** The questions of one transaction, besides those about hosts and jobs. */
export function fleetQuestions(db: MemoryDatabase, replicaId: ReplicaId, notes: TransactionNotes): FleetQuestions {
  return {
    isLeaseInForce: async (epoch) => {
      const lease = db.read("leases", LEASE);
      const isInForce = lease?.holder === replicaId && lease.epoch === epoch && lease.expiresAtMs > db.nowMs;
      if (!isInForce) notes.isFenced = true;
      return isInForce;
    },
    findTargetVersion: async () => db.targetVersion,
    findRunning: async () => findRunning(db),
    chooseBehind: async (toVersion) =>
      [...db.rows("hosts")]
        .filter((host) => !host.isRemoved && isOnline(db, host) && host.agentVersion !== toVersion)
        .sort((one, other) => (one.hostname < other.hostname ? -1 : 1))
        .map(chosen),
    chooseHosts: async (ids) => {
      const hosts = ids.map((id) => db.read("hosts", id));
      return hosts.filter((host) => host !== undefined && !host.isRemoved).map((host) => chosen(host as HostRow));
    },
    listHosts: async (id) => db.read("fleets", id)?.places ?? [],
    insertFleetUpdate: async (update) => insertFleetUpdate(db, update),
    lockFleetUpdate: async (id) => db.read("fleets", id)?.update,
    countUpdating: async (id) => findFleet(db, id).places.filter(({ state }) => state === "updating").length,
    listPending: async (id, hostIds) => {
      const pending = findFleet(db, id).places.filter(({ state }) => state === "pending");
      return new Set(pending.map(({ hostId }) => hostId).filter((hostId) => hostIds.includes(hostId)));
    },
    endFleetUpdate: async (id, end) => {
      const row = findFleet(db, id);
      if (row.update.state !== "running") throw new Error("no running fleet update to end");
      const now = new Date(db.nowMs);
      const halt = end.state === "halted" ? end.halt : null;
      const update: FleetUpdate = { ...row.update, state: end.state, halt, changedAt: now, endedAt: now };
      db.write("fleets", id, { ...row, update });
      return update;
    },
    moveHost: async (id, hostId, from, to) => {
      const row = findFleet(db, id);
      const place = row.places.find((candidate) => candidate.hostId === hostId);
      if (place?.state !== from) return false;
      const moved: PlaceRow = {
        ...place,
        state: to.state,
        reason: to.reason ?? null,
        jobId: to.jobId ?? place.jobId,
        fromVersion: to.fromVersion ?? place.fromVersion,
        changedOrder: db.nextOrder(),
      };
      db.write("fleets", id, { ...row, places: row.places.with(place.position, moved) });
      return true;
    },
  };
}

/** The fleet update that runs, or `undefined`. */
export function findRunning(db: MemoryDatabase): FleetUpdate | undefined {
  return [...db.rows("fleets")].find(({ update }) => update.state === "running")?.update;
}

function chosen({ id, hostname, agentVersion }: HostRow): ChosenHost {
  return { hostId: id, hostname, fromVersion: agentVersion };
}

function findFleet(db: MemoryDatabase, id: FleetUpdateId): FleetRow {
  const row = db.read("fleets", id);
  if (row === undefined) throw new Error(`no row for the fleet update ${id}`);
  return row;
}

function insertFleetUpdate(
  db: MemoryDatabase,
  { hosts, ...facts }: Parameters<FleetTransaction["insertFleetUpdate"]>[0],
): FleetUpdate {
  const now = new Date(db.nowMs);
  const update: FleetUpdate = {
    ...facts,
    state: "running",
    halt: null,
    createdAt: now,
    changedAt: now,
    endedAt: null,
  };
  const places = hosts.map((host, position) => ({
    ...host,
    position,
    state: "pending" as const,
    reason: null,
    jobId: null,
    changedOrder: db.nextOrder(),
  }));
  db.write("fleets", update.id, { update, places });
  return update;
}

/** Fleet updates with something left to do. */
export function listUnsettled(db: MemoryDatabase): readonly FleetUpdateId[] {
  return [...db.rows("fleets")]
    .filter(({ update, places }) => update.state === "running" || places.some(({ state }) => state === "updating"))
    .map(({ update }) => update.id);
}

/** The snapshot that is planned from, with this many hosts beyond those that may be in flight. */
export function loadSnapshot(db: MemoryDatabase, id: FleetUpdateId, lookAhead: number): FleetSnapshot | undefined {
  const row = db.read("fleets", id);
  if (row === undefined) return undefined;
  const { update, places } = row;
  const limit = update.policy.maxInFlight + lookAhead;
  const inFlight = places.filter(({ state }) => state === "updating");
  const hasEnded = ({ jobId }: PlaceRow): boolean => db.read("jobs", jobId ?? "")?.job.endedAt != null;
  const updating = update.state === "running" ? inFlight.filter(hasEnded) : inFlight;
  const pending = places.filter(({ state }) => state === "pending");
  const failed = places.filter(({ state }) => state === "failed").sort((a, b) => b.changedOrder - a.changedOrder);
  const [last] = failed;
  return {
    state: update.state,
    policy: update.policy,
    failures: failed.length,
    lastFailure: last && { hostId: last.hostId, reason: last.reason ?? "" },
    hosts: [...updating, ...pending.slice(0, limit)].map((place) => plannedHost(db, place, update.toVersion)),
    underWay: inFlight.length - updating.length,
    hasMorePending: pending.length > limit,
  };
}

function plannedHost(db: MemoryDatabase, place: PlaceRow, toVersion: string): PlannedHost {
  const job = place.jobId === null ? undefined : db.read("jobs", place.jobId)?.job;
  return {
    hostId: place.hostId,
    state: place.state,
    job: job && { id: job.id, state: job.state },
    refusal: place.state === "pending" ? refusalOf(db, place, toVersion) : undefined,
  };
}

function refusalOf(db: MemoryDatabase, { hostId }: PlaceRow, toVersion: string): PlannedHost["refusal"] {
  const host = db.read("hosts", hostId);
  if (host === undefined || host.isRemoved) return { reason: "host_removed" };
  return findDispatchRefusal(
    {
      isArchived: false,
      isOffline: !isOnline(db, host),
      isIdentityDuplicated: host.isDuplicated,
      agentVersion: host.agentVersion ?? "",
      platform: platformOf(host),
      targetVersion: toVersion,
      openJobId: db.openJob(hostId)?.job.id,
      artifactSha256: host.arch === "x64" && db.findManifest(toVersion) ? "ab".repeat(32) : undefined,
      isQuarantined: isQuarantined(db, toVersion),
      sequenceFloor: 0,
      greatestFloor: undefined,
      installRevision: 0,
      expectedRevision: 0,
    },
    false,
  );
}

/** Takes or prolongs the lease. */
export function holdLease(db: MemoryDatabase, replicaId: ReplicaId, lifeMs: number): bigint | undefined {
  const lease = db.read("leases", LEASE);
  const isPast = lease === undefined || lease.expiresAtMs <= db.nowMs;
  if (lease !== undefined && lease.holder !== replicaId && !isPast) return undefined;
  const epoch = (lease?.epoch ?? 0n) + (isPast ? 1n : 0n);
  db.write("leases", LEASE, { holder: replicaId, epoch, expiresAtMs: db.nowMs + lifeMs });
  return epoch;
}

/** Gives the lease up. */
export function releaseLease(db: MemoryDatabase, replicaId: ReplicaId): void {
  const lease = db.read("leases", LEASE);
  if (lease?.holder === replicaId) db.write("leases", LEASE, { ...lease, expiresAtMs: db.nowMs });
}

/** True while this replica holds the lease. */
export function holdsLease(db: MemoryDatabase, replicaId: ReplicaId): boolean {
  const lease = db.read("leases", LEASE);
  return lease?.holder === replicaId && lease.expiresAtMs > db.nowMs;
}

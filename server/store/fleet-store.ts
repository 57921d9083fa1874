/** The store as fleet updates ask for it. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { FleetHostState } from "../domain/fleet-update.ts";
import type { Labels } from "../domain/labels.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import { answered } from "./away.ts";
import { chooseBehind, chooseHosts } from "./choose-hosts.ts";
import { CoalescedQuestions } from "./coalesced-questions.ts";
import { loadFleetSnapshot } from "./fleet-snapshot.ts";
import {
  countUpdating,
  endFleetUpdate,
  findRunningFleetUpdate,
  insertFleetUpdate,
  listHostsOf,
  listUnsettledFleetUpdates,
  listPending,
  lockFleetUpdate,
  moveFleetHosts,
  type FleetHostMove,
  type NewFleetUpdate,
} from "./fleet-updates.ts";
import { holdLease, isLeaseInForce, releaseLease } from "./leases.ts";
import { holdTargetVersion } from "./releases.ts";
import type { Db } from "./schema.ts";
import { bindUpdateTransaction, type UpdateStoreOptions } from "./update-store.ts";

/** Who may run fleet updates. */
const LEASE = "fleet_updates";

/** Binds the questions about fleet updates. */
export function createFleetStore(db: Kysely<Db>, options: UpdateStoreOptions) {
  return {
    transaction: async <Result>(work: (tx: ReturnType<typeof bindTransaction>) => Promise<Result>): Promise<Result> => {
      const changedAlerts: string[] = [];
      const result = await answered(
        db.transaction().execute((tx) => work(bindTransaction(tx, options, changedAlerts))),
      );
      if (changedAlerts.length > 0) options.alertsChanged(changedAlerts);
      return result;
    },
    listUnsettled: () => answered(listUnsettledFleetUpdates(db)),
    loadSnapshot: (id: FleetUpdateId) => answered(loadFleetSnapshot(db, id)),
    holdLease: (lifeMs: number) => answered(holdLease(db, LEASE, options.replicaId, lifeMs)),
    releaseLease: () => answered(releaseLease(db, LEASE, options.replicaId)),
  };
}

function bindTransaction(tx: Transaction<Db>, options: UpdateStoreOptions, changedAlerts: string[]) {
  const questions = new CoalescedQuestions();
  const updates = bindUpdateTransaction(tx, options, changedAlerts, questions);
  const moveOne = questions.add((moves: readonly FleetHostMove[]) => moveFleetHosts(tx, moves));
  return {
    ...updates,
    isLeaseInForce: (epoch: bigint) => isLeaseInForce(tx, LEASE, options.replicaId, epoch, options.durations.leaseMs),
    findTargetVersion: () => holdTargetVersion(tx, AGENT_PACKAGE),
    findRunning: () => lockStartsAndFindRunning(tx),
    chooseBehind: (toVersion: string, labels: Labels) => chooseBehind(tx, toVersion, labels),
    chooseHosts: (ids: readonly HostId[], labels: Labels) => chooseHosts(tx, ids, labels),
    listHosts: (id: FleetUpdateId) => listHostsOf(tx, id),
    insertFleetUpdate: (update: NewFleetUpdate) => insertFleetUpdate(tx, update),
    lockFleetUpdate: (id: FleetUpdateId) => lockFleetUpdate(tx, id),
    countUpdating: (id: FleetUpdateId) => countUpdating(tx, id),
    listPending: (id: FleetUpdateId, hostIds: readonly HostId[]) => listPending(tx, id, hostIds),
    endFleetUpdate: (id: FleetUpdateId, end: Parameters<typeof endFleetUpdate>[2]) => endFleetUpdate(tx, id, end),
    moveHost: (
      fleetUpdateId: FleetUpdateId,
      hostId: HostId,
      from: FleetHostState,
      to: {
        readonly state: FleetHostState;
        readonly reason?: string | null;
        readonly jobId?: JobId;
        readonly fromVersion?: string;
      },
    ) => moveOne({ fleetUpdateId, hostId, from, reason: null, jobId: null, fromVersion: null, ...to }),
  };
}

/** Two starts at once wait for each other, so that the second can say which one runs. */
async function lockStartsAndFindRunning(tx: Transaction<Db>) {
  await sql`select pg_advisory_xact_lock(hashtext('rollcall start fleet update'))`.execute(tx);
  return findRunningFleetUpdate(tx);
}

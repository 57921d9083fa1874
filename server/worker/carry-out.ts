/** What a plan's actions do, under the fleet update's lock. */
import { RefusedError } from "../domain/errors.ts";
import type { FleetUpdate } from "../domain/fleet-update.ts";
import type { Job } from "../domain/job.ts";
import type { FleetAction } from "../domain/plan-fleet-update.ts";
import type { DispatchPort, FleetTransaction } from "./ports.ts";

/** An action that moves one host on. */
export type PlaceMove = FleetAction & { kind: "settle" | "skip" | "refuse" | "dispatch" };

/** An action that ends the fleet update. */
export type UpdateEnd = FleetAction & { kind: "halt" | "complete" };

/** An action that took effect. */
export interface Done {
  readonly action: FleetAction["kind"];
  /** What is to be sent. */
  readonly job?: Job;
}

/** Whose hand it is when nobody's is. */
export const ACTOR = "rollcall";

/** Moves hosts on, those that settle first: they make room. *Shape*: without those that no longer applied. */
export async function movePlaces(
  tx: FleetTransaction,
  update: FleetUpdate,
  moves: readonly PlaceMove[],
  dispatch: DispatchPort,
): Promise<readonly Done[]> {
  const settled = await Promise.all(moves.map((move) => settleHost(tx, update, move)));
  const done = settled.filter((one) => one !== undefined);
  if (update.state !== "running") return done;
  return [...done, ...(await dispatchHosts(tx, update, moves, dispatch))];
}

async function settleHost(tx: FleetTransaction, update: FleetUpdate, move: PlaceMove): Promise<Done | undefined> {
  if (move.kind === "dispatch" || (move.kind !== "settle" && update.state !== "running")) return undefined;
  const { hostId, reason } = move;
  const moved =
    move.kind === "settle"
      ? await tx.moveHost(update.id, hostId, "updating", { state: move.state, reason })
      : await tx.moveHost(update.id, hostId, "pending", { state: move.kind === "skip" ? "skipped" : "failed", reason });
  return moved ? { action: move.kind } : undefined;
}

async function dispatchHosts(
  tx: FleetTransaction,
  update: FleetUpdate,
  moves: readonly PlaceMove[],
  dispatch: DispatchPort,
): Promise<readonly Done[]> {
  const planned = moves.filter(({ kind }) => kind === "dispatch").map(({ hostId }) => hostId);
  if (planned.length === 0) return [];
  const free = Math.max(0, update.policy.maxInFlight - (await tx.countUpdating(update.id)));
  const pending = await tx.listPending(update.id, planned);
  const turn = planned.filter((hostId) => pending.has(hostId)).slice(0, free);
  const done = await Promise.all(turn.map((hostId) => dispatchHost(tx, update, hostId, dispatch)));
  return done.filter((one) => one !== undefined);
}

async function dispatchHost(
  tx: FleetTransaction,
  update: FleetUpdate,
  hostId: PlaceMove["hostId"],
  dispatch: DispatchPort,
): Promise<Done | undefined> {
  try {
    const job = await dispatch.write(tx, {
      hostId,
      requestedBy: update.startedBy,
      ignoreQuarantine: false,
      fleetUpdateId: update.id,
      toVersion: update.toVersion,
    });
    const moved = await tx.moveHost(update.id, hostId, "pending", {
      state: "updating",
      jobId: job.id,
      fromVersion: job.fromVersion,
    });
    if (!moved) throw new Error(`the host ${hostId} moved on under the lock of its fleet update`);
    return { action: "dispatch", job };
  } catch (error) {
    // What stands against it since the snapshot is planned for in the next round.
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

/** Ends a running fleet update. *Shape*: empty when it had ended. */
export async function endUpdate(
  tx: FleetTransaction,
  update: FleetUpdate,
  action: UpdateEnd,
): Promise<readonly Done[]> {
  if (update.state !== "running") return [];
  if (action.kind === "halt") await haltUpdate(tx, update, action);
  else await completeUpdate(tx, update);
  return [{ action: action.kind }];
}

async function haltUpdate(
  tx: FleetTransaction,
  update: FleetUpdate,
  { halt }: UpdateEnd & { kind: "halt" },
): Promise<void> {
  await tx.endFleetUpdate(update.id, { state: "halted", halt });
  await tx.raiseAlert({
    kind: "fleet_update_halted",
    hostId: null,
    fleetUpdateId: update.id,
    reason: halt.reason,
  });
  await tx.writeAuditEvent({
    actor: ACTOR,
    action: "fleet.update_halted",
    hostId: halt.hostId,
    fleetUpdateId: update.id,
    cause: `halted at this host: ${halt.reason}`,
    details: { reason: halt.reason },
  });
}

async function completeUpdate(tx: FleetTransaction, update: FleetUpdate): Promise<void> {
  await tx.endFleetUpdate(update.id, { state: "completed" });
  await tx.resolveAlerts(null, ["fleet_update_halted"]);
  await tx.writeAuditEvent({
    actor: ACTOR,
    action: "fleet.update_completed",
    fleetUpdateId: update.id,
    cause: "every host was settled",
  });
}

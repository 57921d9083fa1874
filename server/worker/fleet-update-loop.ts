/**
 * Carries fleet updates out: load a snapshot, plan, carry out each action in a
 * transaction that checks again, send. Level-triggered: a lost wake-up costs a
 * second, never a host. Killed anywhere, the next process that holds the lease goes on.
 *
 * Only the holder of the lease acts, and every write names the lease's epoch, so that
 * a holder that stood still writes nothing once another took over. The fleet update's
 * row is locked before a host of it is sent anything: once it is halted or cancelled,
 * no dispatch can follow.
 */
import type { Clock } from "../domain/clock.ts";
import type { Durations } from "../domain/durations.ts";
import { RefusedError } from "../domain/errors.ts";
import type { FleetUpdate } from "../domain/fleet-update.ts";
import type { FleetUpdateId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import { planFleetUpdate, type FleetAction } from "../domain/plan-fleet-update.ts";
import type { Log, ReachPoint } from "../watcher/ports.ts";
import type { DispatchPort, FleetChangeSink, FleetStore, FleetTransaction } from "./ports.ts";

/** What the loop works with. */
export interface FleetLoopParts {
  readonly store: FleetStore;
  readonly dispatch: DispatchPort;
  readonly changes: FleetChangeSink;
  readonly clock: Clock;
  readonly durations: Durations;
  readonly log: Log;
  readonly reachPoint: ReachPoint;
}

/** Whose hand it is when nobody's is. */
const ACTOR = "rollcall";
/** *Units*: milliseconds in which wake-ups gather. */
const GATHER_MS = 5;

/** This process may no longer act. */
class FencedError extends Error {
  constructor() {
    super("another server runs fleet updates now");
    this.name = "FencedError";
  }
}

export class FleetUpdateLoop implements AsyncDisposable {
  readonly #parts: FleetLoopParts;
  #timer: Disposable | undefined;
  #running: Promise<void> | undefined;
  #isWoken = false;
  /** Another server carries fleet updates out: looking once a second is enough. */
  #isFollower = false;
  #isStopped = false;

  constructor(parts: FleetLoopParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#schedule(0);
  }

  /** Something changed that a plan may depend on. */
  wake(): void {
    if (this.#isFollower) return;
    this.#isWoken = true;
    if (this.#running === undefined) this.#schedule(GATHER_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running;
    // The next server need not wait for the lease to end.
    await this.#parts.store.releaseLease().catch(() => undefined);
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#parts.clock.schedule(delayMs, () => {
      this.#running = this.#roundSafely().then((didAnything) => {
        this.#running = undefined;
        const isDueAgain = didAnything || this.#isWoken;
        this.#schedule(isDueAgain ? GATHER_MS : this.#parts.durations.tickIntervalMs);
      });
    });
  }

  async #roundSafely(): Promise<boolean> {
    this.#isWoken = false;
    try {
      return await this.round();
    } catch (error) {
      const level = error instanceof FencedError ? "warn" : "error";
      this.#parts.log(level, "fleet update round failed", { error: String(error) });
      return false;
    }
  }

  /** One look at every fleet update with something left to do. True when anything was done. */
  async round(): Promise<boolean> {
    const { store, durations } = this.#parts;
    const ids = await store.listUnsettled();
    this.#isFollower = false;
    if (ids.length === 0) return false;
    const epoch = await store.holdLease(durations.leaseMs);
    this.#isFollower = epoch === undefined;
    if (epoch === undefined) return false;
    let didAnything = false;
    for (const id of ids) {
      const snapshot = await store.loadSnapshot(id);
      if (snapshot === undefined) continue;
      for (const action of planFleetUpdate(snapshot)) {
        if (this.#isStopped) return false;
        if (await this.#carryOut(id, action, epoch)) didAnything = true;
      }
    }
    return didAnything;
  }

  /** True when the action took effect. */
  async #carryOut(id: FleetUpdateId, action: FleetAction, epoch: bigint): Promise<boolean> {
    const { store, dispatch, changes, reachPoint } = this.#parts;
    if (action.kind === "call_off") return this.#callOff(action.jobId);
    const done = await store.transaction(async (tx) => {
      if (!(await tx.isLeaseInForce(epoch))) throw new FencedError();
      const update = await tx.lockFleetUpdate(id);
      return update === undefined ? undefined : act(tx, update, action, dispatch);
    });
    if (done === undefined) return false;
    reachPoint(`fleet:${action.kind}:stored`);
    changes.fleetUpdateChanged(id);
    if (done.job !== undefined) await dispatch.send(done.job);
    reachPoint(`fleet:${action.kind}:sent`);
    return true;
  }

  async #callOff(jobId: string): Promise<boolean> {
    try {
      await this.#parts.dispatch.cancel(jobId, ACTOR);
      return true;
    } catch (error) {
      // Its commit, or its end, came first: it is watched to its end.
      if (error instanceof RefusedError) return false;
      throw error;
    }
  }
}

interface Done {
  readonly job?: Job;
}

/** Carries one action out under the fleet update's lock. *Shape*: `undefined` when it no longer applies. */
async function act(
  tx: FleetTransaction,
  update: FleetUpdate,
  action: Exclude<FleetAction, { kind: "call_off" }>,
  dispatch: DispatchPort,
): Promise<Done | undefined> {
  if (action.kind === "settle") {
    const { hostId, state, reason } = action;
    return (await tx.moveHost(update.id, hostId, "updating", { state, reason })) ? {} : undefined;
  }
  if (update.state !== "running") return undefined;
  switch (action.kind) {
    case "skip":
      return (await tx.moveHost(update.id, action.hostId, "pending", { state: "skipped", reason: action.reason }))
        ? {}
        : undefined;
    case "refuse":
      return (await tx.moveHost(update.id, action.hostId, "pending", { state: "failed", reason: action.reason }))
        ? {}
        : undefined;
    case "dispatch":
      return dispatchHost(tx, update, action.hostId, dispatch);
    case "halt":
      await tx.endFleetUpdate(update.id, { state: "halted", halt: action.halt });
      await tx.raiseAlert({
        kind: "fleet_update_halted",
        hostId: null,
        fleetUpdateId: update.id,
        reason: action.halt.reason,
      });
      await tx.writeAuditEvent({
        actor: ACTOR,
        action: "fleet.update_halted",
        hostId: action.halt.hostId,
        fleetUpdateId: update.id,
        cause: `halted at this host: ${action.halt.reason}`,
        details: { reason: action.halt.reason },
      });
      return {};
    case "complete":
      await tx.endFleetUpdate(update.id, { state: "completed" });
      await tx.resolveAlerts(null, ["fleet_update_halted"]);
      await tx.writeAuditEvent({
        actor: ACTOR,
        action: "fleet.update_completed",
        fleetUpdateId: update.id,
        cause: "every host was settled",
      });
      return {};
  }
}

async function dispatchHost(
  tx: FleetTransaction,
  update: FleetUpdate,
  hostId: (FleetAction & { kind: "dispatch" })["hostId"],
  dispatch: DispatchPort,
): Promise<Done | undefined> {
  if ((await tx.countUpdating(update.id)) >= update.policy.maxInFlight) return undefined;
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
    // Undoes the job that was just written.
    if (!moved) throw new RefusedError("fleet_update_ended", "The host is no longer pending.");
    return { job };
  } catch (error) {
    // What stands against it since the snapshot is planned for in the next round.
    if (error instanceof RefusedError && error.reason !== "fleet_update_ended") return undefined;
    throw error;
  }
}

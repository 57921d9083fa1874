/**
 * Carries fleet updates out: load a snapshot, plan, carry the plan out in
 * transactions that check again, send. Level-triggered: a lost wake-up costs a
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
import type { FleetUpdateId } from "../domain/ids.ts";
import { planFleetUpdate, type FleetAction } from "../domain/plan-fleet-update.ts";
import type { Log, ReachPoint } from "../watcher/ports.ts";
import { ACTOR, endUpdate, movePlaces, type PlaceMove } from "./carry-out.ts";
import type { DispatchPort, FleetChangeSink, FleetStore } from "./ports.ts";

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

/** *Units*: milliseconds in which wake-ups gather: after a quiet while, and between two rounds. */
const GATHER_MS = 5;
const ROUND_INTERVAL_MS = 50;

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
  #roundAtMs = Number.NEGATIVE_INFINITY;
  #roundTookMs = 0;

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
    if (this.#running === undefined) this.#schedule(this.#gatherMs());
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
        this.#schedule(isDueAgain ? this.#gatherMs() : this.#parts.durations.tickIntervalMs);
      });
    });
  }

  /** A round that took long is followed by as long a pause: the slower the database is, the more a round does. */
  #gatherMs(): number {
    const sinceRoundMs = this.#parts.clock.monotonicMs() - this.#roundAtMs;
    const intervalMs = Math.max(
      ROUND_INTERVAL_MS,
      Math.min(2 * this.#roundTookMs, this.#parts.durations.tickIntervalMs),
    );
    return Math.max(GATHER_MS, intervalMs - sinceRoundMs);
  }

  async #roundSafely(): Promise<boolean> {
    this.#isWoken = false;
    const { clock } = this.#parts;
    this.#roundAtMs = clock.monotonicMs();
    try {
      return await this.round();
    } catch (error) {
      const level = error instanceof FencedError ? "warn" : "error";
      this.#parts.log(level, "fleet update round failed", { error: String(error) });
      return false;
    } finally {
      this.#roundTookMs = clock.monotonicMs() - this.#roundAtMs;
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
      for (const step of toSteps(planFleetUpdate(snapshot))) {
        if (this.#isStopped) return false;
        if (await this.#carryOut(id, step, epoch)) didAnything = true;
      }
    }
    return didAnything;
  }

  /** True when anything took effect. */
  async #carryOut(id: FleetUpdateId, step: Step, epoch: bigint): Promise<boolean> {
    const { store, dispatch, changes, reachPoint } = this.#parts;
    if (step.kind === "call_off") return this.#callOff(step.jobId);
    const done = await store.transaction(async (tx) => {
      if (!(await tx.isLeaseInForce(epoch))) throw new FencedError();
      const update = await tx.lockFleetUpdate(id);
      if (update === undefined) return [];
      return step.kind === "move" ? movePlaces(tx, update, step.moves, dispatch) : endUpdate(tx, update, step);
    });
    if (done.length === 0) return false;
    for (const { action } of done) reachPoint(`fleet:${action}:stored`);
    changes.fleetUpdateChanged(id);
    for (const { action, job } of done) {
      if (job !== undefined) await dispatch.send(job);
      reachPoint(`fleet:${action}:sent`);
    }
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

/** What one transaction carries out, or one call-off. */
type Step =
  | (FleetAction & { kind: "call_off" | "halt" | "complete" })
  | { readonly kind: "move"; readonly moves: readonly PlaceMove[] };

/** Moves of hosts in one transaction: what it costs is shared, and yet nobody waits long for its locks. */
const MOVES_AT_ONCE = 100;

/** A plan's moves of hosts come before whatever ends it. */
function toSteps(actions: readonly FleetAction[]): readonly Step[] {
  const moves: PlaceMove[] = [];
  const others: Step[] = [];
  for (const action of actions) {
    if (action.kind === "call_off" || action.kind === "halt" || action.kind === "complete") others.push(action);
    else moves.push(action);
  }
  const steps: Step[] = [];
  for (let from = 0; from < moves.length; from += MOVES_AT_ONCE) {
    steps.push({ kind: "move", moves: moves.slice(from, from + MOVES_AT_ONCE) });
  }
  return [...steps, ...others];
}

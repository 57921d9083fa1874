/**
 * One server process: the real watcher, desks and loops over a database in memory.
 *
 * It can be killed, after which nothing it awaits ever comes back and nothing it says
 * is heard; and it can be stopped and continued, when all that should have happened
 * meanwhile happens at once. Either may strike between storing and sending.
 */
import type { Clock } from "../../server/domain/clock.ts";
import type { Durations } from "../../server/domain/durations.ts";
import { UnavailableError } from "../../server/domain/errors.ts";
import type { HostId, ReplicaId } from "../../server/domain/ids.ts";
import { DeadlineLoop } from "../../server/watcher/deadline-loop.ts";
import { HostMailboxes } from "../../server/watcher/host-mailboxes.ts";
import { removeHost } from "../../server/watcher/operator-acts.ts";
import { OpenJobHosts } from "../../server/watcher/open-job-hosts.ts";
import { SessionWatcher } from "../../server/watcher/session-watcher.ts";
import { UpdateDesk } from "../../server/watcher/update-desk.ts";
import { FleetDesk } from "../../server/worker/fleet-desk.ts";
import { FleetUpdateLoop } from "../../server/worker/fleet-update-loop.ts";
import type { Dice } from "./dice.ts";
import type { MemoryDatabase } from "./memory-database.ts";
import { createMemoryStore, type StorePorts } from "./memory-store.ts";
import type { ServerSession } from "./server-session.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a process depends on. A seeded bug is one of these parts made worse. */
export interface ServerParts extends StorePorts {
  /** The clock of the loop that carries fleet updates out. */
  readonly fleetClock: Clock;
}

export interface ServerWorld {
  readonly time: VirtualTime;
  readonly db: MemoryDatabase;
  readonly dice: Dice;
  readonly durations: Durations;
  readonly lookAhead: number;
  readonly sabotage: (parts: ServerParts) => ServerParts;
  /** Ids that rise. */
  readonly nextId: (kind: string) => string;
  /** Called at every point between storing and sending; may kill or stop the process. */
  readonly reachPoint: (process: ServerProcess) => void;
  /** True while the way to the database may be slow or break. */
  readonly isDatabaseShaky: () => boolean;
  readonly noteFailure: (error: string) => void;
}

/** *Units*: milliseconds from one note that the process is alive to the next. */
const TOUCH_INTERVAL_MS = 5_000;

export class ServerProcess {
  readonly replicaId: ReplicaId;
  readonly registry = new Map<HostId, ServerSession>();
  readonly sessions = new Set<ServerSession>();
  readonly watcher: SessionWatcher;
  readonly updates: UpdateDesk;
  readonly rollout: FleetDesk;
  readonly #world: ServerWorld;
  readonly #removal: (hostId: HostId) => Promise<void>;
  readonly #start: () => Promise<void>;
  #state: "starting" | "running" | "stopped" | "dead" = "starting";
  #isReady = false;
  #slowCalls = 0;
  #backlog: (() => void)[] = [];

  constructor(world: ServerWorld, replicaId: ReplicaId) {
    this.#world = world;
    this.replicaId = replicaId;
    const { durations } = world;
    const { db, lookAhead } = world;
    const call = <Result>(work: () => Result | Promise<Result>) => this.#call(work);
    const clock: Clock = {
      now: () => new Date(world.time.nowMs),
      monotonicMs: () => world.time.nowMs,
      schedule: (delayMs, callback) => world.time.after(delayMs, () => this.run(callback)),
    };
    const store = createMemoryStore({ db, replicaId, durations, lookAhead, call, clock });
    const { updates, fleets, deadlines, fleetClock } = world.sabotage({ ...store, fleetClock: clock });
    const log = (level: "info" | "warn" | "error", event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      if (level === "error") world.noteFailure(`${event}: ${String(fields["error"])}`);
    };
    const random = { uuid: () => world.nextId("id"), bytes: (length: number) => new Uint8Array(length) };
    const changes = { hostChanged: () => undefined, fleetUpdateChanged: () => undefined };
    const reachPoint = (): void => world.reachPoint(this);
    const interpreter = {
      store: updates,
      mailboxes: new HostMailboxes(),
      changes: {
        ...changes,
        jobChanged: (job: { readonly fleetUpdateId: string | null }) => {
          if (job.fleetUpdateId !== null) fleetLoop.wake();
        },
        everythingChanged: () => undefined,
      },
      reachPoint,
    };
    this.updates = new UpdateDesk(interpreter, random);
    const fleetLoop = new FleetUpdateLoop({
      store: fleets,
      dispatch: this.updates,
      changes,
      clock: fleetClock,
      durations,
      log,
      reachPoint,
    });
    this.rollout = new FleetDesk({ store: fleets, random, changes, wake: () => fleetLoop.wake() });
    const nextCredential = (): string => "";
    this.watcher = new SessionWatcher({
      ...interpreter,
      openJobs: new OpenJobHosts(),
      clock,
      durations,
      serverVersion: "1",
      nextCredential,
      access: () => ({ servers: [], authoritiesPem: "" }),
      log,
    });
    const loop = new DeadlineLoop({ ...interpreter, deadlines, waitingJobs: () => [], clock, durations, log });
    this.#removal = (hostId) =>
      removeHost(interpreter, (id, error) => this.registry.get(id)?.end(error), hostId, "operator");
    const keepTouching = (): void => {
      clock.schedule(TOUCH_INTERVAL_MS, () => {
        deadlines
          .touchReplica()
          .catch(() => undefined)
          .finally(keepTouching);
      });
    };
    this.#start = async () => {
      await deadlines.takeOverSessions();
      await loop.start();
      keepTouching();
      fleetLoop.start();
      this.#isReady = true;
      if (this.#state === "starting") this.#state = "running";
    };
  }

  /** True while it takes streams and requests. */
  get isServing(): boolean {
    return this.#state === "running" && this.#isReady;
  }

  /** True while its database keeps it waiting. */
  get isHeldUp(): boolean {
    return this.#slowCalls > 0;
  }

  get isStopped(): boolean {
    return this.#state === "stopped";
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  start(): void {
    this.#world.time.noteLife();
    // Like a service manager: what can't start is started again.
    this.#start().catch(() => this.#world.time.after(500, () => this.run(() => this.start())));
  }

  removeHost(hostId: HostId): Promise<void> {
    return this.#removal(hostId);
  }

  /** Runs something of this process: now, once it is continued, or never. */
  run(work: () => void): void {
    if (this.#state === "dead") return;
    if (this.#state === "stopped") {
      this.#backlog.push(work);
      return;
    }
    this.#world.time.noteLife();
    work();
  }

  kill(): void {
    this.#state = "dead";
    this.#backlog = [];
    const sessions = [...this.sessions];
    this.sessions.clear();
    for (const session of sessions) session.cutByDeath();
  }

  stop(): void {
    if (this.#state === "running") this.#state = "stopped";
  }

  continue(): void {
    if (this.#state !== "stopped") return;
    this.#state = "running";
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const work of backlog) this.run(work);
  }

  /** One question to the database. It may be slow, or break before or after the answer was made. */
  async #call<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const { time, dice, isDatabaseShaky } = this.#world;
    time.noteLife();
    if (this.#state !== "running") await this.#whileStopped();
    const isShaky = isDatabaseShaky() && dice.chance(0.02);
    if (isShaky && dice.chance(0.5)) await this.#beSlow();
    if (isShaky && dice.chance(0.2)) throw new UnavailableError("the database is away");
    const result = await work();
    time.noteLife();
    if (isShaky && dice.chance(0.5)) await this.#beSlow();
    if (isShaky && dice.chance(0.2)) throw new UnavailableError("the database went away before it answered");
    if (this.#state !== "running") await this.#whileStopped();
    return result;
  }

  async #beSlow(): Promise<void> {
    const { time, dice } = this.#world;
    this.#slowCalls += 1;
    await time.pause(dice.chance(0.1) ? dice.whole(1_000, 9_000) : dice.whole(1, 300));
    this.#slowCalls -= 1;
    if (this.#state !== "running") await this.#whileStopped();
  }

  /** Never resolves for a process that is dead. */
  #whileStopped(): Promise<void> | undefined {
    if (this.#state === "starting") return undefined;
    return new Promise((resolve) => this.run(resolve));
  }
}

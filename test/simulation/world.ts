/** One fleet with its servers, agents and operators, and how each of them can be harmed. */
import { DEFAULT_DURATIONS } from "../../server/domain/durations.ts";
import { RefusedError, UnavailableError } from "../../server/domain/errors.ts";
import type { FleetUpdateId, HostId, ReplicaId } from "../../server/domain/ids.ts";
import { Auditor } from "./auditor.ts";
import type { Dice } from "./dice.ts";
import { FakeAgent } from "./fake-agent.ts";
import { drawFate } from "./fate.ts";
import { MemoryDatabase } from "./memory-database.ts";
import { findRunning, listUnsettled } from "./memory-fleets.ts";
import { FROM_VERSION, TO_VERSION, type Schedule } from "./schedule.ts";
import { ServerProcess, type ServerParts, type ServerWorld } from "./server-process.ts";
import { VirtualTime } from "./virtual-time.ts";

const OPERATOR = "operator";

/** How a schedule is run. */
export interface RunOptions {
  /** Makes a part of the servers worse than it is. */
  readonly sabotage?: (parts: ServerParts) => ServerParts;
  /** Given one line for everything that happens. */
  readonly tell?: (line: string) => void;
}

export class World {
  readonly time = new VirtualTime();
  readonly db = new MemoryDatabase(this.time);
  readonly auditor: Auditor;
  readonly agents: readonly FakeAgent[];
  readonly schedule: Schedule;
  readonly #dice: Dice;
  readonly #servers: ServerProcess[];
  readonly #serverWorld: ServerWorld;
  #ids = 0;
  #calmUntilMs = 0;
  #lastFleetId: FleetUpdateId | undefined;

  constructor(dice: Dice, schedule: Schedule, options: RunOptions) {
    const { sabotage = (parts) => parts, tell } = options;
    this.#dice = dice;
    this.auditor = new Auditor(this.time, this.db, tell);
    this.schedule = schedule;
    this.db.setTarget(TO_VERSION);
    this.#serverWorld = {
      time: this.time,
      db: this.db,
      dice,
      durations: DEFAULT_DURATIONS,
      lookAhead: schedule.lookAhead,
      sabotage,
      nextId: (kind) => this.#nextId(kind),
      reachPoint: (process) => this.#reachPoint(process),
      isDatabaseShaky: () => schedule.isDatabaseShaky && this.isStormy,
      noteFailure: (error) => {
        if (!error.includes("the database")) this.auditor.object(`unforeseen: ${error}`);
      },
    };
    this.agents = Array.from({ length: schedule.hosts }, (_, index) => this.#addHost(index));
    this.#servers = Array.from({ length: schedule.servers }, (_, index) => this.#boot(index));
  }

  /** True while faults may strike. */
  get isStormy(): boolean {
    return this.time.nowMs < this.schedule.faultsUntilMs && this.time.nowMs >= this.#calmUntilMs;
  }

  /** True while a server does its work. */
  get isServed(): boolean {
    return this.#servers.some((server) => server.isServing && !server.isHeldUp);
  }

  /** True when nothing is left to do. */
  get isSettled(): boolean {
    return listUnsettled(this.db).length === 0 && [...this.db.rows("jobs")].every(({ job }) => job.endedAt !== null);
  }

  /** Lets no fault strike for this long. */
  calm(forMs: number): void {
    this.#calmUntilMs = this.time.nowMs + forMs;
  }

  killServer(server: ServerProcess = this.#dice.pick(this.#servers)): void {
    const index = this.#servers.indexOf(server);
    if (index < 0 || server.isDead) return;
    this.auditor.note("a server is killed");
    server.kill();
    const delayMs = this.#dice.chance(0.5) ? this.#dice.whole(50, 500) : this.#dice.whole(1_000, 40_000);
    this.time.after(delayMs, () => {
      this.#servers[index] = this.#boot(index);
    });
  }

  /** Stops a server for a while. Its agents give it up after some silence. */
  stopServer(server: ServerProcess = this.#dice.pick(this.#servers)): void {
    if (!server.isServing) return;
    this.auditor.note("a server is stopped");
    server.stop();
    for (const agent of this.agents) {
      const { link } = agent;
      if (link?.server !== server) continue;
      this.time.after(this.#dice.whole(15_000, 35_000), () => {
        if (server.isStopped) link.cutByAgent(1);
      });
    }
    this.time.after(this.#dice.whole(500, 100_000), () => server.continue());
  }

  startFleet(isRetry: boolean): void {
    const { policy } = this.schedule;
    const retryOf = isRetry ? (this.#lastFleetId ?? null) : null;
    const hostIds = retryOf === null && this.#dice.chance(0.7) ? this.agents.map((agent) => agent.hostId) : [];
    this.#ask(async (server) => {
      const request = {
        hostIds,
        labels: [],
        retryOf,
        policy,
        startedBy: OPERATOR,
        validateOnly: this.#dice.chance(0.05),
      };
      const { update } = await server.rollout.start(request);
      if (!request.validateOnly) this.#lastFleetId = update.id;
    });
  }

  cancelFleet(): void {
    const running = findRunning(this.db);
    if (running !== undefined) this.#ask((server) => server.rollout.cancel(running.id, OPERATOR));
  }

  updateHost(hostId: HostId): void {
    const request = { hostId, requestedBy: OPERATOR, ignoreQuarantine: false, fleetUpdateId: null };
    this.#ask((server) => server.updates.dispatch(request));
  }

  cancelJob(hostId: HostId): void {
    const job = this.db.openJob(hostId)?.job;
    if (job !== undefined) this.#ask((server) => server.updates.cancel(job.id, OPERATOR));
  }

  removeHost(hostId: HostId): void {
    this.#ask((server) => server.removeHost(hostId));
  }

  /** Asks a server that serves, if there is one. */
  #ask(question: (server: ServerProcess) => Promise<unknown>): void {
    const serving = this.#servers.filter((server) => server.isServing);
    if (serving.length === 0) return;
    const server = this.#dice.pick(serving);
    server.run(() => {
      question(server).catch((error: unknown) => {
        if (error instanceof RefusedError) this.auditor.note(`refused: ${error.reason}`);
        else if (!(error instanceof UnavailableError)) this.auditor.object(`unforeseen: ${String(error)}`);
      });
    });
  }

  #nextId(kind: string): string {
    this.#ids += 1;
    return `${kind}-${this.#ids}`;
  }

  #boot(index: number): ServerProcess {
    const server = new ServerProcess(this.#serverWorld, `replica-${index}` as ReplicaId);
    server.start();
    return server;
  }

  #reachPoint(process: ServerProcess): void {
    if (!this.isStormy || !this.#dice.chance(this.schedule.deadlyPoints)) return;
    if (this.#dice.chance(0.6)) this.killServer(process);
    else this.stopServer(process);
  }

  #addHost(index: number): FakeAgent {
    const dice = this.#dice;
    const { trouble } = this.schedule;
    const id = `host-${index}` as HostId;
    const hostname = `host-${String(index).padStart(3, "0")}`;
    const arch = dice.chance(trouble / 3) ? "arm64" : "x64";
    const version = dice.chance(0.1) ? TO_VERSION : FROM_VERSION;
    const isDuplicated = dice.chance(trouble / 5);
    const row = { id, hostname, os: "linux", arch, agentVersion: version, offlineAtMs: this.db.nowMs - 1 };
    this.db.insertHost({ ...row, isRemoved: false, isDuplicated });
    this.auditor.installed(id, version);
    const agent = new FakeAgent(
      {
        time: this.time,
        dice,
        nextId: (kind) => this.#nextId(kind),
        findServer: () => this.#findServer(),
        swapped: (hostId, jobId, swapped) => this.auditor.swapped(hostId, jobId, swapped),
        note: (sighting) => this.auditor.note(sighting),
      },
      { id, hostname, arch, version, fate: drawFate(dice, trouble) },
    );
    if (dice.chance(trouble)) agent.goAway(dice.chance(0.5) ? dice.whole(1_000, 90_000) : undefined);
    else this.time.after(dice.whole(0, 2_000), () => agent.boot());
    return agent;
  }

  /** The first server is the nearest; a stopped one still takes connections. */
  #findServer(): ServerProcess | undefined {
    const server = this.#dice.chance(0.85) ? this.#servers[0] : this.#dice.pick(this.#servers);
    return server !== undefined && (server.isServing || server.isStopped) ? server : undefined;
  }
}

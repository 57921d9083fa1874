/** A real server on the hosts' network, and hosts with real systemd that run the built agent. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AlertKind } from "../../gen/rollcall/v1/attention_pb.js";
import { HostStatus, type Host, type Job } from "../../gen/rollcall/v1/model_pb.js";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import type { FleetClient } from "../demo/fleet-client.ts";
import { FleetWatch } from "../demo/fleet-watch.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { untilEnded } from "../support/control-plane.ts";
import { FewAtATime } from "../support/few-at-a-time.ts";
import { ServerChild } from "../support/server-child.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { watchUntil } from "../support/watch-until.ts";
import { installAgent, writeDropIn } from "./agent-host.ts";
import { ensureDebianRoot } from "./debian-root.ts";
import { prepareReleases, type Fault } from "./faulty-releases.ts";
import { HostNetwork } from "./host-network.ts";
import { SystemdHost } from "./systemd-host.ts";

/** The address is the test's alone, so its ports are free, also for a server that comes back. */
const WEB_PORT = 7170;
const AGENT_PORT = 7171;

/** Twice as long as the server waits for hosts, so that a slow machine fails no test; what must be in time is asserted in seconds. */
const PROGRESS_DEADLINE_MS = 180_000;

/** A host of the fleet. */
export interface FleetHost {
  readonly machine: SystemdHost;
  readonly hostId: string;
}

/** A host that boots and installs takes a whole core; many at once would wait for each other until they give up. */
const ARRIVALS_AT_ONCE = 2;

/** How a host differs from others. */
export interface HostChanges {
  /** What an operator added to units, by their names. */
  readonly dropIns?: Readonly<Record<string, string>>;
  /** What is done on the running machine before anything is installed. */
  readonly prepare?: (machine: SystemdHost) => Promise<unknown>;
}

/** Owns server, network and hosts. */
export class HostFleet implements AsyncDisposable {
  readonly server: ServerChild;
  readonly client: FleetClient;
  readonly builds: AgentBuilds;
  readonly #network: HostNetwork;
  readonly #root: string;
  readonly #folder: string;
  readonly #owned: AsyncDisposableStack;
  #watch: FleetWatch;
  readonly #arrivals = new FewAtATime(ARRIVALS_AT_ONCE);
  #dispatching: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    readonly server: ServerChild;
    readonly client: FleetClient;
    readonly builds: AgentBuilds;
    readonly network: HostNetwork;
    readonly root: string;
    readonly folder: string;
    readonly owned: AsyncDisposableStack;
  }) {
    this.server = parts.server;
    this.client = parts.client;
    this.builds = parts.builds;
    this.#network = parts.network;
    this.#root = parts.root;
    this.#folder = parts.folder;
    this.#owned = parts.owned;
    this.#watch = new FleetWatch(this.client);
  }

  /** With these faults among its releases. */
  static async start(signal: AbortSignal, faults: readonly Fault[] = []): Promise<HostFleet> {
    await using owned = new AsyncDisposableStack();
    const root = await ensureDebianRoot(signal);
    const builds = await buildTestAgents();
    const network = owned.use(await HostNetwork.create());
    const folder = await mkdtemp(join(tmpdir(), "rollcall-hosts-"));
    owned.defer(() => rm(folder, { recursive: true }));
    const releasesDir = join(folder, "releases");
    await prepareReleases(releasesDir, builds, faults);
    const database = owned.use(await createTestDatabase());
    const server = owned.use(
      new ServerChild({
        dataDir: join(folder, "data"),
        releasesDir,
        version: builds.newer.version,
        databaseUrl: database.url,
        durations: { tickIntervalMs: 100, progressDeadlineMs: PROGRESS_DEADLINE_MS },
        environment: {
          ROLLCALL_WEB_LISTEN: `${network.serverAddress}:${WEB_PORT}`,
          ROLLCALL_AGENT_LISTEN: `${network.serverAddress}:${AGENT_PORT}`,
        },
      }),
    );
    await server.start();
    // In order: the database can be dropped once nobody uses it.
    owned.defer(() => server.stop());
    const client = await server.fleet();
    return new HostFleet({ server, client, builds, network, root, folder, owned: owned.move() });
  }

  async #addMachine(name: string): Promise<SystemdHost> {
    const folder = join(this.#folder, name);
    return this.#owned.use(await SystemdHost.create({ name, folder, root: this.#root, network: this.#network }));
  }

  /** Boots a host that runs the older build, installed by the line as the server hands it out. */
  addHost(hostname: string, changes: HostChanges = {}): Promise<FleetHost> {
    return this.#arrivals.run(() => this.#addHost(hostname, changes));
  }

  /** Boots a machine that nothing is installed on. */
  bootMachine(name: string): Promise<SystemdHost> {
    return this.#arrivals.run(async () => {
      const machine = await this.#addMachine(name);
      await machine.boot();
      return machine;
    });
  }

  async #addHost(hostname: string, { dropIns = {}, prepare }: HostChanges): Promise<FleetHost> {
    const { client, builds } = this;
    const machine = await this.#addMachine(hostname);
    for (const [unit, text] of Object.entries(dropIns)) await writeDropIn(machine, unit, text);
    await machine.boot();
    await prepare?.(machine);
    const { installCommand } = await client.createEnrollmentToken({ label: hostname });
    const end = await installAgent(machine, installCommand, builds.older.version);
    if (end.status !== 0) throw new Error(`installing on ${hostname}: ${end.stdout}${end.stderr}`);
    const { id } = await this.untilOnline(hostname);
    return { machine, hostId: id };
  }

  /** Asks a host to update to a version. */
  async update({ hostId }: FleetHost, version: string): Promise<Job> {
    const { job } = await this.#withTarget(version, () => this.client.updateHost({ hostId }));
    if (job === undefined) throw new Error("UpdateHost answered without a job");
    return job;
  }

  /** Starts a fleet update of these hosts, and tells its id. */
  async updateFleet(hosts: readonly FleetHost[], version: string): Promise<string> {
    const hostIds = hosts.map(({ hostId }) => hostId);
    const { fleetUpdate } = await this.#withTarget(version, () => this.client.startFleetUpdate({ hostIds }));
    if (fleetUpdate === undefined) throw new Error("StartFleetUpdate answered without a fleet update");
    return fleetUpdate.id;
  }

  /** A version is the target at the start, so one after the other. */
  #withTarget<Answer>(version: string, start: () => Promise<Answer>): Promise<Answer> {
    const dispatch = this.#dispatching.then(async () => {
      await this.client.setTargetVersion({ version });
      return await start();
    });
    this.#dispatching = dispatch.catch(() => undefined);
    return dispatch;
  }

  /** Resolves once the job has ended. */
  untilEnded({ id }: Job): Promise<Job> {
    return untilEnded(this.client, id);
  }

  /** The job as it is now. */
  async readJob({ id }: Job): Promise<Job> {
    const { job } = await this.client.getJob({ jobId: id });
    if (job === undefined) throw new Error("GetJob answered without a job");
    return job;
  }

  /** Resolves once the host of this name is online, with this version if one is given. */
  untilOnline(hostname: string, version?: string): Promise<Host> {
    return this.#watch.until(({ hosts }) => {
      const host = [...hosts.values()].find((candidate) => candidate.hostname === hostname);
      if (host?.status !== HostStatus.ONLINE) return undefined;
      return version === undefined || host.agentVersion === version ? host : undefined;
    }, new AbortController().signal);
  }

  /** Resolves once an alert of this kind is open for a host. */
  async untilAlert({ hostId }: FleetHost, kind: AlertKind): Promise<void> {
    await watchUntil(this.client, async () => {
      const { alerts } = await this.client.listAlerts({ hostId, kind, openOnly: true });
      return alerts.length > 0 ? true : undefined;
    });
  }

  /** Starts the server again after it was killed. */
  async startServerAgain(): Promise<void> {
    await this.server.start();
    await this.#watch[Symbol.asyncDispose]();
    this.#watch = new FleetWatch(this.client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    await this.#owned.disposeAsync();
  }
}

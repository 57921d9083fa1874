/**
 * A server and hosts of the older version, all of them real processes on this
 * machine. The demo and the benchmarks stand on it. Disposing it ends every
 * process, agents first, and deletes every file.
 */
import { join } from "node:path";
import type { Clock } from "../../agent/clock.ts";
import { HostStatus } from "../../gen/rollcall/v1/model_pb.js";
import type { AgentBuilds } from "./agent-builds.ts";
import { createHost, startAgent, type DemoHost, type HostOrder } from "./demo-host.ts";
import { connectFleet, type FleetClient } from "./fleet-client.ts";
import { FleetWatch } from "./fleet-watch.ts";
import { startServer, type ServerProcess } from "./server-process.ts";
import { createWorkspace, type Workspace } from "./workspace.ts";

/** Host ids by name, in the order of the names. */
export type HostIds = ReadonlyMap<string, string>;

/** What is unusual about a host. */
export type HostSettings = Pick<HostOrder, "reserveBytes" | "launcher">;

/** Owns the processes and the folder. */
export class DemoFleet implements AsyncDisposable {
  readonly server: ServerProcess;
  readonly client: FleetClient;
  readonly watch: FleetWatch;
  readonly builds: AgentBuilds;
  /** Where the hosts lie, by name. */
  readonly hosts = new Map<string, DemoHost>();
  readonly #workspace: Workspace;
  readonly #clock: Clock;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    server: ServerProcess,
    builds: AgentBuilds,
    workspace: Workspace,
    clock: Clock,
    owned: AsyncDisposableStack,
  ) {
    this.server = server;
    this.client = connectFleet(server.web, server.adminToken);
    this.watch = owned.use(new FleetWatch(this.client));
    this.builds = builds;
    this.#workspace = workspace;
    this.#clock = clock;
    this.#owned = owned;
  }

  /** Starts the server whose own version is the newer build. */
  static async start(
    builds: AgentBuilds,
    clock: Clock,
    signal: AbortSignal,
    agentAddress?: string,
  ): Promise<DemoFleet> {
    await using owned = new AsyncDisposableStack();
    const workspace = owned.use(await createWorkspace("rollcall-demo-"));
    const { version, releasesDir } = builds.newer;
    const server = owned.use(
      await startServer({ folder: workspace.path, version, releasesDir, agentAddress }, clock, signal),
    );
    return new DemoFleet(server, builds, workspace, clock, owned.move());
  }

  /** Lays out a host with the given agent and enrols it; nothing runs yet. */
  async enrollHost(
    name: string,
    binaryPath: string,
    signal: AbortSignal,
    settings: HostSettings = {},
  ): Promise<DemoHost> {
    const { token } = await this.client.createEnrollmentToken({ label: name }, { signal });
    const folder = join(this.#workspace.path, "hosts");
    return createHost(
      { folder, name, binaryPath, server: this.server.agents, caFile: this.server.caFile, ...settings },
      token,
      signal,
    );
  }

  /** Starts the agent of a host that was enrolled. */
  start(host: DemoHost): void {
    this.hosts.set(host.name, host);
    this.#owned.use(startAgent(host, this.#clock));
  }

  /** Enrols hosts with the older agent, starts them and waits until each one is online. */
  async addHosts(
    names: readonly string[],
    signal: AbortSignal,
    settingsOf: (name: string) => HostSettings = () => ({}),
  ): Promise<HostIds> {
    for (const name of names) {
      this.start(await this.enrollHost(name, this.builds.older.binaryPath, signal, settingsOf(name)));
    }
    const ids = await Promise.all(names.map((name) => this.waitUntilOnline(name, signal)));
    return new Map(names.map((name, index) => [name, ids[index] ?? ""]));
  }

  /** Resolves with the id of the host of this name once it is online. */
  waitUntilOnline(name: string, signal: AbortSignal): Promise<string> {
    return this.watch.until(({ hosts }) => {
      const host = [...hosts.values()].find(({ hostname }) => hostname === name);
      return host?.status === HostStatus.ONLINE ? host.id : undefined;
    }, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}

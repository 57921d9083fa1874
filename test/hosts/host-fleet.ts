/** A real server on the hosts' network, and hosts with real systemd that run the built agent. */
import { copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readDevelopmentPublisher } from "../../agent/build/publisher.ts";
import { systemBench } from "../../agent/release/system-bench.ts";
import { HostStatus, type Host, type Job } from "../../gen/rollcall/v1/model_pb.js";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { FleetWatch } from "../demo/fleet-watch.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildTinyElf } from "../support/tiny-elf.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { installAgent, writeDropIn } from "./agent-host.ts";
import { ensureDebianRoot } from "./debian-root.ts";
import { HostNetwork } from "./host-network.ts";
import { SystemdHost } from "./systemd-host.ts";

/** Bad releases by what they do once they run; all of them pass their probe. */
export const BAD_VERSIONS = { exits: "9.0.0-exits", hangs: "9.0.0-hangs" } as const;

/** A host of the fleet. */
export interface FleetHost {
  readonly machine: SystemdHost;
  readonly hostId: string;
}

/** Owns server, network and hosts. */
export class HostFleet implements AsyncDisposable {
  readonly server: ControlPlane;
  readonly builds: AgentBuilds;
  readonly watch: FleetWatch;
  readonly #network: HostNetwork;
  readonly #root: string;
  readonly #folder: string;
  readonly #owned: AsyncDisposableStack;
  #dispatching: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    readonly server: ControlPlane;
    readonly builds: AgentBuilds;
    readonly network: HostNetwork;
    readonly root: string;
    readonly folder: string;
    readonly owned: AsyncDisposableStack;
  }) {
    this.server = parts.server;
    this.builds = parts.builds;
    this.#network = parts.network;
    this.#root = parts.root;
    this.#folder = parts.folder;
    this.#owned = parts.owned;
    this.watch = this.#owned.use(new FleetWatch(this.server.fleet));
  }

  static async start(signal: AbortSignal): Promise<HostFleet> {
    await using owned = new AsyncDisposableStack();
    const root = await ensureDebianRoot(signal);
    const builds = await buildTestAgents();
    const network = owned.use(await HostNetwork.create());
    const folder = await mkdtemp(join(tmpdir(), "rollcall-hosts-"));
    owned.defer(() => rm(folder, { recursive: true }));
    const releasesDir = join(folder, "releases");
    await prepareReleases(releasesDir, builds);
    const server = owned.use(
      await startControlPlane({}, undefined, {
        ROLLCALL_RELEASES_DIR: releasesDir,
        ROLLCALL_AGENT_LISTEN: `${network.serverAddress}:0`,
        ROLLCALL_WEB_LISTEN: `${network.serverAddress}:0`,
      }),
    );
    return new HostFleet({ server, builds, network, root, folder, owned: owned.move() });
  }

  /** A machine that nothing is installed on, switched off. */
  async addMachine(name: string): Promise<SystemdHost> {
    const folder = join(this.#folder, name);
    return this.#owned.use(await SystemdHost.create({ name, folder, root: this.#root, network: this.#network }));
  }

  /** Boots a host that runs the older build, installed by the line as the server hands it out. */
  async addHost(hostname: string, changes: { readonly agentDropIn?: string } = {}): Promise<FleetHost> {
    const { server, builds } = this;
    const machine = await this.addMachine(hostname);
    if (changes.agentDropIn !== undefined) await writeDropIn(machine, changes.agentDropIn);
    await machine.boot();
    const { installCommand } = await server.fleet.createEnrollmentToken({ label: hostname });
    const end = await installAgent(machine, installCommand, builds.older.version);
    if (end.status !== 0) throw new Error(`installing on ${hostname}: ${end.stdout}${end.stderr}`);
    const { id } = await this.untilOnline(hostname);
    return { machine, hostId: id };
  }

  /** Asks a host to update to a version. */
  async update({ hostId }: FleetHost, version: string): Promise<Job> {
    const { job } = await this.#withTarget(version, () => this.server.fleet.updateHost({ hostId }));
    if (job === undefined) throw new Error("UpdateHost answered without a job");
    return job;
  }

  /** Starts a fleet update of these hosts, and tells its id. */
  async updateFleet(hosts: readonly FleetHost[], version: string): Promise<string> {
    const hostIds = hosts.map(({ hostId }) => hostId);
    const { fleetUpdate } = await this.#withTarget(version, () => this.server.fleet.startFleetUpdate({ hostIds }));
    if (fleetUpdate === undefined) throw new Error("StartFleetUpdate answered without a fleet update");
    return fleetUpdate.id;
  }

  /** A version is the target at the start, so one after the other. */
  #withTarget<Answer>(version: string, start: () => Promise<Answer>): Promise<Answer> {
    const dispatch = this.#dispatching.then(async () => {
      await this.server.fleet.setTargetVersion({ version });
      return await start();
    });
    this.#dispatching = dispatch.catch(() => undefined);
    return dispatch;
  }

  /** Resolves once the host of this name is online, with this version if one is given. */
  untilOnline(hostname: string, version?: string): Promise<Host> {
    return this.watch.until(({ hosts }) => {
      const host = [...hosts.values()].find((candidate) => candidate.hostname === hostname);
      if (host?.status !== HostStatus.ONLINE) return undefined;
      return version === undefined || host.agentVersion === version ? host : undefined;
    }, new AbortController().signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}

/** Both builds, and bad ones in the same publisher's name. */
async function prepareReleases(releasesDir: string, { older, newer }: AgentBuilds): Promise<void> {
  await mkdir(releasesDir);
  for (const { releasesDir: built, version } of [older, newer])
    await symlink(join(built, version), join(releasesDir, version));
  const { signingKey, folder } = await readDevelopmentPublisher(repositoryRoot, systemBench);
  const keySet = { bytes: folder.keys, signature: folder.keysSignature };
  const programs = {
    [BAD_VERSIONS.exits]: buildTinyElf({ prints: `${BAD_VERSIONS.exits}\n`, whenRun: { exit: 1 }, sizeBytes: 100_000 }),
    [BAD_VERSIONS.hangs]: buildTinyElf({ prints: `${BAD_VERSIONS.hangs}\n`, whenRun: "hang", sizeBytes: 100_000 }),
  };
  for (const [index, [version, artifact]] of Object.entries(programs).entries())
    await writeTestRelease(releasesDir, { version, sequence: 3 + index, artifact, signedBy: signingKey, keySet });
  await copyFile(join(newer.releasesDir, "roots.pub"), join(releasesDir, "roots.pub"));
}

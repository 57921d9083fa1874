/** A real server, and machines of Wine's that run the built agent of windows-x64. */
import { mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { HostStatus, JobState, type Host, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { computeVersion } from "../../gen/version.ts";
import { buildAgents, type AgentBuilds } from "../demo/agent-builds.ts";
import { FleetWatch } from "../demo/fleet-watch.ts";
import { readBuildPublisher } from "../support/built-agent.ts";
import { startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildTinyPe } from "../support/tiny-pe.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { WineMachine } from "./wine-machine.ts";
import { ensureWineRoot } from "./wine-root.ts";

/** Bad releases by what they do once they run; all of them pass their probe. */
export const BAD_VERSIONS = { exits: "9.0.0-exits", hangs: "9.0.0-hangs" } as const;

/** Where an agent is on drive C. */
export const HOME = "Program Files/Rollcall";
const BINARY = `${HOME}/bin/rollcall-agent.exe`;
/** The same for Windows. */
const WINDOWS_HOME = "%ProgramFiles%\\Rollcall";

/** A host of the fleet. */
export interface WindowsHost {
  readonly machine: WineMachine;
  readonly hostId: string;
}

/** Owns server and machines. */
export class WindowsFleet implements AsyncDisposable {
  readonly server: ControlPlane;
  readonly builds: AgentBuilds;
  readonly #watch: FleetWatch;
  readonly #root: string;
  readonly #folder: string;
  readonly #owned: AsyncDisposableStack;
  #dispatching: Promise<unknown> = Promise.resolve();

  private constructor(
    server: ControlPlane,
    builds: AgentBuilds,
    root: string,
    folder: string,
    owned: AsyncDisposableStack,
  ) {
    this.server = server;
    this.builds = builds;
    this.#root = root;
    this.#folder = folder;
    this.#owned = owned;
    this.#watch = owned.use(new FleetWatch(server.fleet));
  }

  static async start(signal: AbortSignal): Promise<WindowsFleet> {
    await using owned = new AsyncDisposableStack();
    const root = await ensureWineRoot(signal);
    const builds = await buildAgents(computeVersion(repositoryRoot), () => undefined, signal, "windows-x64");
    const folder = await mkdtemp(join(tmpdir(), "rollcall-windows-"));
    owned.defer(() => rm(folder, { recursive: true }));
    const releasesDir = join(folder, "releases");
    await prepareReleases(releasesDir, builds);
    // Off loopback the web listener speaks TLS, and the install line pins its key.
    const listen = `${findOwnAddress() ?? "127.0.0.1"}:0`;
    const environment = {
      ROLLCALL_RELEASES_DIR: releasesDir,
      ROLLCALL_WEB_LISTEN: listen,
      ROLLCALL_AGENT_LISTEN: listen,
    };
    const server = owned.use(await startControlPlane({}, undefined, environment));
    return new WindowsFleet(server, builds, root, folder, owned.move());
  }

  /** A machine that nothing is installed on. */
  async addMachine(name: string): Promise<WineMachine> {
    return this.#owned.use(await WineMachine.start(this.#root, join(this.#folder, name)));
  }

  /** Sets up a host that runs the older build, kept running as the start-up task would. */
  async addHost(hostname: string): Promise<WindowsHost> {
    const machine = await this.addMachine(hostname);
    await machine.write(BINARY, await readFile(this.builds.older.binaryPath));
    const script = await readFile(join(repositoryRoot, "agent", "windows", "update.cmd"), "utf8");
    await machine.write(`${HOME}/update.cmd`, script.replaceAll(/\r?\n/g, "\r\n"));
    const config = { servers: [this.server.agents], ca_pem: this.server.caPem, hostname };
    await machine.write(`${HOME}/agent.json`, JSON.stringify(config));
    const { token } = await this.server.fleet.createEnrollmentToken({ label: hostname });
    const paths = `--config "${WINDOWS_HOME}\\agent.json" --state-dir "${WINDOWS_HOME}\\state"`;
    const enrolled = await machine.run([
      `set "ROLLCALL_TOKEN=${token}"`,
      `"${WINDOWS_HOME}\\bin\\rollcall-agent.exe" enroll ${paths}`,
    ]);
    if (enrolled.status !== 0) throw new Error(`enrolling ${hostname}: ${enrolled.output}`);
    await this.keepRunning(machine);
    const { id } = await this.untilOnline(hostname);
    return { machine, hostId: id };
  }

  /** Makes a version the target. No update may be asked for meanwhile. */
  async setTarget(version: string): Promise<void> {
    await this.server.fleet.setTargetVersion({ version });
  }

  /** What the start-up task does. */
  keepRunning(machine: WineMachine): Promise<void> {
    return machine.start([`"${WINDOWS_HOME}\\update.cmd"`]);
  }

  /** Asks a host to update to a version. A version is the target at the start, so one host after the other. */
  update({ hostId }: WindowsHost, version: string): Promise<Job> {
    const dispatch = this.#dispatching.then(async () => {
      await this.server.fleet.setTargetVersion({ version });
      const { job } = await this.server.fleet.updateHost({ hostId });
      if (job === undefined) throw new Error("UpdateHost answered without a job");
      return job;
    });
    this.#dispatching = dispatch.catch(() => undefined);
    return dispatch;
  }

  /** Resolves once the host of this name is online, with this version if one is given. */
  untilOnline(hostname: string, version?: string): Promise<Host> {
    return this.#watch.until(({ hosts }) => {
      const host = [...hosts.values()].find((candidate) => candidate.hostname === hostname);
      if (host?.status !== HostStatus.ONLINE) return undefined;
      return version === undefined || host.agentVersion === version ? host : undefined;
    }, new AbortController().signal);
  }

  /** Resolves once a job was rolled back. Where all is slow the server has given it up before, and takes the truer outcome. */
  untilRolledBack({ id }: Job): Promise<Job> {
    return this.#watch.until(({ jobs }) => {
      const job = jobs.get(id);
      return job?.state === JobState.ROLLED_BACK ? job : undefined;
    }, new AbortController().signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}

/** *Shape*: `undefined` on a machine without a network. */
function findOwnAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}

/** Both builds, and bad ones in the same publisher's name. */
async function prepareReleases(releasesDir: string, { older, newer }: AgentBuilds): Promise<void> {
  await mkdir(releasesDir);
  for (const { releasesDir: built, version } of [older, newer])
    await symlink(join(built, version), join(releasesDir, version));
  const publisher = await readBuildPublisher();
  const programs = {
    [BAD_VERSIONS.exits]: buildTinyPe({ prints: `${BAD_VERSIONS.exits}\n`, whenRun: { exit: 1 } }),
    [BAD_VERSIONS.hangs]: buildTinyPe({ prints: `${BAD_VERSIONS.hangs}\n`, whenRun: "hang" }),
  };
  for (const [index, [version, artifact]] of Object.entries(programs).entries())
    await writeTestRelease(releasesDir, { version, sequence: 3 + index, artifact, platform: "windows-x64", publisher });
}

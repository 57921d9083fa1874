/**
 * A host that runs 1.0.0 under a server that does whatever a test wants: real
 * sessions over real TLS, the real update runner, real files, real programs. Only
 * the service manager is the test, which starts the next process itself.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { hash, randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { createHello } from "../../agent/hello.ts";
import { systemClock, systemRandom } from "../../agent/clock-system.ts";
import { LinkKeeper } from "../../agent/link-keeper.ts";
import { openChannel } from "../../agent/stream/channel.ts";
import { runSessionLoop } from "../../agent/stream/session-loop.ts";
import { createLinuxPlatform } from "../../agent/updater/linux-platform.ts";
import { createTrustFile } from "../../agent/updater/trust-file.ts";
import { openTrustStore, type TrustStore } from "../../agent/updater/trust-store.ts";
import { UPDATE_LIMITS, type UpdateLimits } from "../../agent/updater/update-limits.ts";
import { updatePaths, type UpdatePaths } from "../../agent/updater/update-paths.ts";
import { UpdateRunner } from "../../agent/updater/update-runner.ts";
import { UpdatePhase, type Hello, type UpdateProgress } from "../../gen/rollcall/v1/agent_pb.js";
import { RecordingLog } from "../agent/recording-log.ts";
import { TemporaryFolder } from "../agent/temporary-folder.ts";
import {
  createTestAuthority,
  startFakeAgentServer,
  type FakeAgentServer,
  type FakeConnection,
} from "../support/fake-agent-server.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import { PROGRAM_BYTES, type Offer } from "../support/offered-release.ts";

const run = promisify(execFile);
const AUTHORITY = createTestAuthority();
const FIRST_VERSION = "1.0.0";

/** How a host begins. */
export interface HostStart {
  /** Of the build that it runs, which is version 1.0.0; 1 when left out. */
  readonly sequence?: number;
  /** How long a fetch may bring nothing new; what an agent takes when left out. *Units*: milliseconds. */
  readonly stalledMs?: number | undefined;
}

/** What one process of the agent is: the session that it opened, and how to end it. */
interface AgentProcess extends AsyncDisposable {
  readonly version: string;
  readonly trust: TrustStore;
  readonly runner: UpdateRunner;
  readonly log: RecordingLog;
  readonly connection: FakeConnection;
  readonly hello: Hello;
}

export class TrustingHost implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly server: FakeAgentServer;
  readonly paths: UpdatePaths;
  readonly #limits: UpdateLimits;
  #process: AgentProcess | undefined;
  #epoch = 0n;

  private constructor(folder: TemporaryFolder, server: FakeAgentServer, limits: UpdateLimits) {
    this.#limits = limits;
    this.folder = folder;
    this.server = server;
    this.paths = updatePaths(folder.join("bin", "rollcall-agent"), folder.join("state"));
  }

  /** Installs 1.0.0, starts it and welcomes its session. */
  static async start({
    sequence = 1,
    stalledMs = UPDATE_LIMITS.fetch.stalledMs,
  }: HostStart = {}): Promise<TrustingHost> {
    const limits = { ...UPDATE_LIMITS, fetch: { ...UPDATE_LIMITS.fetch, stalledMs, pauseMs: 100 } };
    const host = new TrustingHost(await TemporaryFolder.create(), await startFakeAgentServer(AUTHORITY), limits);
    await mkdir(host.paths.folder, { mode: 0o700 });
    await mkdir(host.paths.stateDir, { mode: 0o700 });
    await writeFile(host.paths.binary, buildVersionElf(FIRST_VERSION, PROGRAM_BYTES), { mode: 0o755 });
    await host.restart({ version: FIRST_VERSION, sequence });
    return host;
  }

  get #running(): AgentProcess {
    if (this.#process === undefined) throw new Error("no process runs on this host");
    return this.#process;
  }

  /** The last Hello. */
  get hello(): Hello {
    return this.#running.hello;
  }

  get trust(): TrustStore {
    return this.#running.trust;
  }

  /** Ends the process, if any, and starts one as the build that stands at the path. */
  async restart(build: { readonly version: string; readonly sequence: number }): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = await this.#startProcess(build.version, build.sequence);
  }

  /** Commands `offer` as a job of its own. *Shape*: how far it came: staged or failed. */
  async update(offer: Offer): Promise<UpdateProgress> {
    const jobId = this.#command(offer);
    return this.#running.connection.progress(
      ({ value }) => value.jobId === jobId && [UpdatePhase.STAGED, UpdatePhase.FAILED].includes(value.phase),
    );
  }

  /** Commands and commits `offer`, and starts what it put in place, which is then confirmed. *Throws* Error unless it is staged. */
  async install(offer: Offer, sequence: number): Promise<void> {
    const { connection, runner } = this.#running;
    const staged = await this.update(offer);
    if (staged.phase !== UpdatePhase.STAGED) throw new Error(`not staged: ${staged.details?.detail}`);
    const { jobId } = staged;
    const { manifestSha256, toVersion: version } = offer;
    connection.send({ case: "commitUpdate", value: { jobId, manifestSha256, sessionEpoch: this.#epoch } });
    await runner.replaced;
    await this.restart({ version, sequence });
    await this.#running.log.until("update_confirmed");
  }

  /** What an update that failed must have left as it was. *Shape*: what is otherwise, in words. */
  async findDisturbances(): Promise<readonly string[]> {
    const disturbances: string[] = [];
    const { connection, version } = this.#running;
    const expected = hash("sha256", buildVersionElf(version, PROGRAM_BYTES));
    if (hash("sha256", await readFile(this.paths.binary)) !== expected) disturbances.push("another binary stands");
    const names = [...(await readdir(this.paths.folder)), ...(await readdir(this.paths.stateDir))];
    const allowed = ["rollcall-agent", "rollcall-agent.new", "trust"];
    disturbances.push(...names.filter((name) => !allowed.includes(name)));
    if (connection.isClosed) disturbances.push("the session ended");
    return disturbances;
  }

  /** The trust file as it stands. */
  readTrust(): Promise<string> {
    return readFile(this.paths.trust, "latin1");
  }

  /** What the program at the path says it is. */
  async readRunningVersion(): Promise<string> {
    return (await run(this.paths.binary)).stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }

  #command(offer: Offer): string {
    const { toVersion, manifestSha256, manifest, keySet, blockList } = offer;
    const { script } = this.server;
    script.fetchManifest = () => ({
      manifest: manifest.bytes,
      signature: manifest.signature,
      keys: keySet.bytes,
      keysSignature: keySet.signature,
      blockList,
    });
    script.fetchBlocks = async function* (request) {
      yield* offer.sendBlocks(request);
    };
    const jobId = randomUUID();
    const { connection, version: fromVersion } = this.#running;
    const value = { jobId, package: "rollcall-agent", fromVersion, toVersion, manifestSha256 };
    connection.send({ case: "commandUpdate", value });
    return jobId;
  }

  async #startProcess(version: string, sequence: number): Promise<AgentProcess> {
    const log = new RecordingLog();
    const build = { roots: TEST_PUBLISHER.rootKeys, sequence, keysSequence: 0 };
    const trust = await openTrustStore(createTrustFile(this.paths), build);
    const platform = createLinuxPlatform({
      binaryPath: this.paths.binary,
      stateDir: this.paths.stateDir,
      configPath: this.folder.join("agent.json"),
      ownVersion: version,
      trust,
      clock: systemClock,
    });
    const runner = new UpdateRunner({
      platform,
      trust,
      settlement: await platform.settle(),
      ownPackage: "rollcall-agent",
      ownVersion: version,
      reserveBytes: 0,
      clock: systemClock,
      random: systemRandom,
      log,
      limits: this.#limits,
    });
    const host = { os: "linux", arch: "x64", hostname: "trusting" };
    const facts = { host, version, instanceId: randomUUID(), installRevision: 0 };
    const stop = new AbortController();
    const servers = [this.server.address];
    const loop = runSessionLoop(
      {
        servers: () => servers,
        openChannel: (address) => openChannel(address, Buffer.from(AUTHORITY.caPem)),
        credential: () => "credential",
        hello: () => createHello(facts, runner.hello(), trust),
        isUrgent: () => runner.isUrgent,
        listener: new LinkKeeper(runner, async () => undefined, log),
        clock: systemClock,
        random: systemRandom,
        log,
      },
      stop.signal,
    );
    const connection = await this.server.connections.take();
    const hello = await connection.hello();
    this.#epoch += 1n;
    connection.welcome(this.#epoch);
    await log.until("connected");
    const end = async (): Promise<void> => {
      stop.abort();
      await loop;
      await runner[Symbol.asyncDispose]();
    };
    return { version, trust, runner, log, connection, hello, [Symbol.asyncDispose]: end };
  }
}

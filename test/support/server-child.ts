/** The server as a process of its own, which a test may kill and start again on the same ports and data. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Client } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { systemRandom } from "../../server/clock-system.ts";
import type { Durations } from "../../server/domain/durations.ts";
import { loadCredentialKey, loadReplicaId } from "../../server/secrets.ts";
import type { ListenerLimits } from "../../server/stream/limits.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { createFleetClient } from "./control-plane.ts";
import { findQuietPort } from "./quiet-port.ts";

/** Halves what a start costs: tests start hundreds of servers. */
const COMPILE_CACHE = join(repositoryRoot, "node_modules", ".cache", "rollcall-test-server");

/** What a server child is started with. */
export interface ServerChildOptions {
  readonly dataDir: string;
  readonly releasesDir: string;
  readonly version: string;
  readonly databaseUrl: string;
  readonly durations?: Partial<Durations>;
  readonly limits?: Partial<ListenerLimits>;
  /** Root of the sources that it runs; of this checkout unless given. */
  readonly sources?: string;
  /** Besides what the others say. */
  readonly environment?: Readonly<Record<string, string>>;
}

interface Ready {
  readonly web: string;
  readonly agents: string;
}

export class ServerChild implements AsyncDisposable {
  readonly #options: ServerChildOptions;
  #process: ChildProcess | undefined;
  #ready: Ready | undefined;
  #stderr = "";

  constructor(options: ServerChildOptions) {
    this.#options = options;
  }

  /** Starts it, on the ports it had before. *Throws* Error with its log when it ends instead of getting ready. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { dataDir, releasesDir, version, databaseUrl, durations, limits, sources } = this.#options;
    const child = spawn(
      process.execPath,
      [join(sources ?? repositoryRoot, "test", "support", "server-child-program.ts")],
      {
        env: {
          PATH: process.env["PATH"],
          NODE_COMPILE_CACHE: COMPILE_CACHE,
          ROLLCALL_DATA_DIR: dataDir,
          ROLLCALL_RELEASES_DIR: releasesDir,
          ROLLCALL_VERSION: version,
          ROLLCALL_DATABASE_URL: databaseUrl,
          ROLLCALL_WEB_LISTEN: this.#ready?.web.replace("http://", "") ?? `127.0.0.1:${await findQuietPort()}`,
          ROLLCALL_AGENT_LISTEN: this.#ready?.agents ?? `127.0.0.1:${await findQuietPort()}`,
          TEST_DURATIONS: JSON.stringify(durations ?? {}),
          TEST_LIMITS: JSON.stringify(limits ?? {}),
          ...this.#options.environment,
          ...environment,
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.#process = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    const [line] = (await Promise.race([
      once(createInterface({ input: child.stdout }), "line"),
      once(child, "exit").then(() => {
        throw new Error(`the server ended before it was ready:\n${this.#stderr}`);
      }),
    ])) as unknown[];
    this.#ready = JSON.parse(String(line)) as Ready;
  }

  get web(): string {
    return this.#known().web;
  }

  get agents(): string {
    return this.#known().agents;
  }

  /** Of the process that was started last. */
  get processId(): number {
    return this.#running().pid ?? 0;
  }

  get log(): string {
    return this.#stderr;
  }

  async caPem(): Promise<string> {
    return readFile(join(this.#options.dataDir, "tls", "ca.crt"), "utf8");
  }

  /** Its name among the servers of its database. */
  async replicaId(): Promise<string> {
    return loadReplicaId(this.#options.dataDir, systemRandom);
  }

  /** What its first administrator shows. */
  async adminToken(): Promise<string> {
    return (await readFile(join(this.#options.dataDir, "admin-token"), "utf8")).trim();
  }

  /** What its hosts' credentials are derived with. */
  async credentialKey(): Promise<Uint8Array> {
    return loadCredentialKey(this.#options.dataDir, systemRandom);
  }

  /** A client with the admin token. */
  async fleet(): Promise<Client<typeof FleetService>> {
    return createFleetClient(this.#known().web, await this.adminToken(), await this.caPem());
  }

  /** Resolves with the signal that ended it, or with nothing when it ended by itself. */
  async exited(): Promise<NodeJS.Signals | null> {
    const child = this.#process;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.signalCode;
  }

  /** Resolves once its log holds `text`. */
  async untilLogged(text: string): Promise<void> {
    while (!this.#stderr.includes(text)) await once(this.#stderrOf(), "data");
  }

  /** Makes it stand still, as a machine that is frozen. */
  freeze(): void {
    this.#running().kill("SIGSTOP");
  }

  thaw(): void {
    this.#running().kill("SIGCONT");
  }

  /** Tells it to stop, as a service manager does, and waits until it has. */
  async stop(): Promise<void> {
    this.#running().kill("SIGTERM");
    await this.exited();
  }

  /** As a power cut for this process. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.exited();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #stderrOf(): NonNullable<ChildProcess["stderr"]> {
    const { stderr } = this.#running();
    if (stderr === null) throw new Error("the server's log is not read");
    return stderr;
  }

  #running(): ChildProcess {
    if (this.#process === undefined) throw new Error("the server was not started yet");
    return this.#process;
  }

  #known(): Ready {
    if (this.#ready === undefined) throw new Error("the server was not started yet");
    return this.#ready;
  }
}

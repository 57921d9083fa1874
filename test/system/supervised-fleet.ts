/** Hosts that run the built agent, each kept running by a supervisor, and a server that a test may kill. */
import { copyFile, link, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { systemClock } from "../../agent/clock-system.ts";
import { HostStatus } from "../../gen/rollcall/v1/model_pb.js";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { supervise, type Supervised } from "../demo/supervisor.ts";
import { layOutAgentHost, type AgentHost } from "../support/agent-host.ts";
import { ServerChild } from "../support/server-child.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { watchUntil } from "../support/watch-until.ts";

const RESTART_DELAY_MS = 20;

/** What every server of a fleet has in common. */
export interface ServerSite {
  readonly folder: string;
  readonly releasesDir: string;
  readonly version: string;
}

/** Makes a server, not started yet, and gives `parts` what is to be disposed. */
export type OpenServer = (site: ServerSite, parts: AsyncDisposableStack) => Promise<ServerChild>;

async function openTestServer({ folder, ...site }: ServerSite, parts: AsyncDisposableStack): Promise<ServerChild> {
  const database = parts.use(await createTestDatabase());
  return parts.use(new ServerChild({ ...site, dataDir: join(folder, "data"), databaseUrl: database.url }));
}

/** A host and what keeps its agent running. */
export interface SupervisedHost {
  readonly host: AgentHost;
  readonly agent: Supervised;
}

/** Three hosts a, b and c on the older version, and a server that is not started yet. */
export class SupervisedFleet implements AsyncDisposable {
  /** The one that hosts and questions go to. */
  server: ServerChild;
  readonly hosts: SupervisedHost[] = [];
  readonly folder: string;
  readonly #older: string;
  readonly #parts: AsyncDisposableStack;

  private constructor(folder: string, older: string, server: ServerChild, parts: AsyncDisposableStack) {
    this.folder = folder;
    this.#older = older;
    this.server = server;
    this.#parts = parts;
  }

  /** `openServer` says on what the server runs; a database of its own among those of the tests, unless given. */
  static async create(builds: AgentBuilds, openServer: OpenServer = openTestServer): Promise<SupervisedFleet> {
    await using parts = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "rollcall-built-killed-"));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    // A copy: what is linked from the build itself would be one file with it.
    const older = join(folder, "older");
    await copyFile(builds.older.binaryPath, older);
    const { newer } = builds;
    const server = await openServer({ folder, releasesDir: newer.releasesDir, version: newer.version }, parts);
    return new SupervisedFleet(folder, older, server, parts.move());
  }

  /** Enrols a host and waits until the server sees it. */
  async addHost(hostname: string, reserveBytes?: number): Promise<void> {
    const fleet = await this.server.fleet();
    const { agents } = this.server;
    const host = await layOutAgentHost({
      folder: join(this.folder, hostname),
      hostname,
      fleet,
      server: { agents, caPem: await this.server.caPem() },
      ...(reserveBytes === undefined ? {} : { reserveBytes }),
    });
    await link(this.#older, host.paths.binary);
    const agent = supervise(
      {
        program: host.paths.binary,
        programArguments: host.runArguments,
        cwd: "/",
        env: {},
        logPath: join(this.folder, `${hostname}.log`),
        restartDelayMs: RESTART_DELAY_MS,
      },
      systemClock,
    );
    this.#parts.use(agent);
    this.hosts.push({ host, agent });
    await watchUntil(fleet, async () => {
      const found = await fleet.getHost({ hostId: host.hostId });
      return found.host?.status === HostStatus.ONLINE ? true : undefined;
    });
  }

  get hostIds(): string[] {
    return this.hosts.map(({ host }) => host.hostId);
  }

  /** Waits until the server has died at its fault point, and starts the next one. */
  async nextServer(faultPoint?: string): Promise<void> {
    expect(await this.server.exited()).toBe("SIGKILL");
    try {
      await this.server.start(faultPoint === undefined ? {} : { ROLLCALL_FAULT_POINT: faultPoint });
    } catch (error) {
      // Its hosts were so quick that it died there before it said that it is ready.
      if (faultPoint === undefined || (await this.server.exited()) !== "SIGKILL") throw error;
    }
  }

  /** How often each host's program was started, and how many jobs each host ever had. */
  async tally(): Promise<{ readonly starts: readonly number[]; readonly jobs: readonly number[] }> {
    const fleet = await this.server.fleet();
    const jobs = [];
    for (const hostId of this.hostIds) jobs.push((await fleet.listJobs({ hostId })).jobs.length);
    return { starts: this.hosts.map(({ agent }) => agent.starts), jobs };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

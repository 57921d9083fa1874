/**
 * The server is killed at transitions of a fleet update whose hosts run the built
 * agent, each kept running by a supervisor. What a host was updated is told by how
 * often its program was started, and by what stands on its disk.
 */
import { copyFile, link, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../agent/clock-system.ts";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { HostStatus } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { supervise, type Supervised } from "../demo/supervisor.ts";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { layOutAgentHost, type AgentHost } from "../support/agent-host.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import { ServerChild } from "../support/server-child.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { watchUntil } from "../support/watch-until.ts";

const TIMEOUT_MS = 180_000;
const RESTART_DELAY_MS = 20;
/** *Units*: bytes. No disk leaves as much. */
const NO_DISK = 2 ** 50;

let builds: AgentBuilds;
beforeAll(async () => {
  builds = await buildTestAgents();
}, 240_000);
afterAll(async () => expect(await findOpenSockets()).toEqual([]));

interface SupervisedHost {
  readonly host: AgentHost;
  readonly agent: Supervised;
}

/** Three hosts a, b and c on the older version, and a server that is not started yet. */
class SupervisedFleet implements AsyncDisposable {
  readonly server: ServerChild;
  readonly hosts: SupervisedHost[] = [];
  readonly #folder: string;
  readonly #older: string;
  readonly #parts: AsyncDisposableStack;

  private constructor(folder: string, older: string, server: ServerChild, parts: AsyncDisposableStack) {
    this.#folder = folder;
    this.#older = older;
    this.server = server;
    this.#parts = parts;
  }

  static async create(): Promise<SupervisedFleet> {
    await using parts = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "rollcall-built-killed-"));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    // A copy: what is linked from the build itself would be one file with it.
    const older = join(folder, "older");
    await copyFile(builds.older.binaryPath, older);
    const database = parts.use(await createTestDatabase());
    const server = parts.use(
      new ServerChild({
        dataDir: join(folder, "data"),
        releasesDir: builds.newer.releasesDir,
        version: builds.newer.version,
        databaseUrl: database.url,
      }),
    );
    return new SupervisedFleet(folder, older, server, parts.move());
  }

  /** Enrols a host and waits until the server sees it. */
  async addHost(hostname: string, reserveBytes?: number): Promise<void> {
    const fleet = await this.server.fleet();
    const { agents } = this.server;
    const host = await layOutAgentHost({
      folder: join(this.#folder, hostname),
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
        logPath: join(this.#folder, `${hostname}.log`),
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
    await this.server.start(faultPoint === undefined ? {} : { ROLLCALL_FAULT_POINT: faultPoint });
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

/** The only fleet update there is, once it has ended and its hosts are settled. */
async function untilEnded(server: ServerChild) {
  const fleet = await server.fleet();
  const { fleetUpdates } = await fleet.listFleetUpdates({});
  expect(fleetUpdates).toHaveLength(1);
  return untilFleetUpdateSettled(fleet, fleetUpdates[0]?.id ?? "");
}

describe("hosts with the built agent", () => {
  test.concurrent(
    "are updated each once by servers killed after a dispatch, at a stage, at a commit and between hosts",
    async () => {
      await using fleet = await SupervisedFleet.create();
      const { server } = fleet;
      await server.start({ ROLLCALL_FAULT_POINT: "fleet:dispatch:stored" });
      for (const name of ["a", "b", "c"]) await fleet.addHost(name);
      // The server may die before it answers.
      await (await server.fleet()).startFleetUpdate({ hostIds: fleet.hostIds }).catch(() => undefined);
      await fleet.nextServer("sent:staged");
      await fleet.nextServer("stored:restarting");
      await fleet.nextServer("fleet:settle:stored");
      await fleet.nextServer();

      const found = await untilEnded(server);
      expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
      expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
      expect(await fleet.tally()).toEqual({ starts: [2, 2, 2], jobs: [1, 1, 1] });
      const [older, newer] = [await digestFile(builds.older.binaryPath), await digestFile(builds.newer.binaryPath)];
      for (const { host } of fleet.hosts) {
        expect((await digestFile(host.paths.binary)).sha256).toBe(newer.sha256);
        expect((await digestFile(host.paths.old)).sha256).toBe(older.sha256);
      }
    },
    TIMEOUT_MS,
  );

  test.concurrent(
    "are left alone once their fleet update was halted, by servers killed at the halt and after it",
    async () => {
      await using fleet = await SupervisedFleet.create();
      const { server } = fleet;
      await server.start({ ROLLCALL_FAULT_POINT: "fleet:halt:stored" });
      await fleet.addHost("a");
      await fleet.addHost("b", NO_DISK);
      await fleet.addHost("c");
      await (await server.fleet()).startFleetUpdate({ hostIds: fleet.hostIds }).catch(() => undefined);
      await fleet.nextServer();
      await server.kill();
      await fleet.nextServer();

      const found = await untilEnded(server);
      expect(found.fleetUpdate).toMatchObject({
        state: FleetUpdateState.HALTED,
        haltReason: "preflight_no_space",
        haltedHostId: fleet.hostIds[1],
      });
      expect(hostStates(found)).toEqual(["a SUCCEEDED", "b FAILED preflight_no_space", "c PENDING"]);
      expect(await fleet.tally()).toEqual({ starts: [2, 1, 1], jobs: [1, 1, 0] });
    },
    TIMEOUT_MS,
  );
});

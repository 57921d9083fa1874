/**
 * A server in a process of its own, on a database of its own, and hosts with real
 * sessions: a fleet whose server a test may kill, freeze and start again.
 */
import { randomUUID } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SESSION_LOOP_LIMITS, type SessionLoopLimits } from "../../agent/stream/session-loop.ts";
import type { Durations } from "../../server/domain/durations.ts";
import type { HostId } from "../../server/domain/ids.ts";
import { deriveCredential } from "../../server/identity/host-credential.ts";
import { insertHost } from "../../server/store/hosts.ts";
import type { ListenerLimits } from "../../server/stream/limits.ts";
import { NEW_VERSION, OLD_VERSION } from "./control-plane.ts";
import { enrollHost } from "./host-enrollment.ts";
import { MemoryHost, type MemoryHostOptions } from "./memory-host.ts";
import { ServerChild } from "./server-child.ts";
import { createTestDatabase, type TestDatabase } from "./test-database.ts";
import { writeTestRelease } from "./test-release.ts";
import { buildVersionElf } from "./tiny-elf.ts";

const ARTIFACT_BYTES = 100_000;

/** Hosts of a server that comes back at once need not wait for seconds. */
const QUICK_RETURN: SessionLoopLimits = {
  ...SESSION_LOOP_LIMITS,
  backoff: { ...SESSION_LOOP_LIMITS.backoff, firstMs: 200, greatestMs: 500, greatestUrgentMs: 500 },
};

/** All hosts of a test come from one address, of which a server lets in few strangers at a time. */
const ONE_ADDRESS: Partial<ListenerLimits> = { unauthenticatedPerAddress: 1_000 };

/** What a host is made of, besides its place. */
export type ChildFleetHostOptions = Partial<
  Pick<MemoryHostOptions, "version" | "prepare" | "rollsBack" | "loopLimits">
>;

/** A host, its id and what it shows to be let in. */
export interface ChildFleetHost {
  readonly hostId: string;
  readonly credential: string;
  readonly host: MemoryHost;
}

/** The database of a fleet: what a test looks into, and what its servers are told. */
export type FleetDatabase = Pick<TestDatabase, "db" | "ownerDb" | "url"> & AsyncDisposable;

export class ChildFleet implements AsyncDisposable {
  readonly folder: string;
  readonly releasesDir: string;
  readonly database: FleetDatabase;
  readonly #durations: Partial<Durations>;
  readonly #parts: AsyncDisposableStack;

  private constructor(
    folder: string,
    database: FleetDatabase,
    durations: Partial<Durations>,
    parts: AsyncDisposableStack,
  ) {
    this.folder = folder;
    this.releasesDir = join(folder, "releases");
    this.database = database;
    this.#durations = durations;
    this.#parts = parts;
  }

  static async create(
    durations: Partial<Durations> = {},
    openDatabase: () => Promise<FleetDatabase> = createTestDatabase,
  ): Promise<ChildFleet> {
    await using parts = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "rollcall-child-fleet-"));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    const artifact = buildVersionElf(NEW_VERSION, ARTIFACT_BYTES);
    await writeTestRelease(join(folder, "releases"), { version: NEW_VERSION, sequence: 2, artifact });
    const database = parts.use(await openDatabase());
    return new ChildFleet(folder, database, durations, parts.move());
  }

  /** A server with a data directory of this name, not started yet. */
  addServer(name: string, version = NEW_VERSION, sources?: string): ServerChild {
    return this.#parts.use(
      new ServerChild({
        dataDir: join(this.folder, name),
        releasesDir: this.releasesDir,
        version,
        databaseUrl: this.database.url,
        durations: this.#durations,
        limits: ONE_ADDRESS,
        ...(sources === undefined ? {} : { sources }),
      }),
    );
  }

  /** Another server with the keys of the first, as those that share a database have them. Started. */
  async addReplica(name: string, first: string, version = NEW_VERSION): Promise<ServerChild> {
    for (const kept of ["credential.key", "tls"]) {
      await cp(join(this.folder, first, kept), join(this.folder, name, kept), { recursive: true });
    }
    const server = this.addServer(name, version);
    await server.start();
    return server;
  }

  /** Gives a host of this name its id and its credential. */
  async enrol(server: ServerChild, hostname: string): Promise<Omit<ChildFleetHost, "host">> {
    const { hostId, credential } = await enrollHost(
      await server.fleet(),
      { agents: server.agents, caPem: await server.caPem() },
      hostname,
    );
    return { hostId, credential };
  }

  /** The same without a word to any server: the credential is derived as servers derive it. */
  async enrolDirectly(server: ServerChild, hostname: string): Promise<Omit<ChildFleetHost, "host">> {
    const hostId = randomUUID() as HostId;
    await insertHost(this.database.db, { id: hostId, hostname, os: "linux", arch: "x64" });
    return { hostId, credential: deriveCredential(await server.credentialKey(), { hostId, generation: 1 }) };
  }

  /** An enrolled host that is connected to this server. */
  async addHost(server: ServerChild, hostname: string, options: ChildFleetHostOptions = {}): Promise<ChildFleetHost> {
    const enrolled = await this.enrol(server, hostname);
    return { ...enrolled, host: await this.connect(server, hostname, enrolled.credential, options) };
  }

  /** The agent of a host that is enrolled already, once it is connected to the first of these servers. */
  async connect(
    servers: ServerChild | readonly [ServerChild, ...ServerChild[]],
    hostname: string,
    credential: string,
    options: ChildFleetHostOptions = {},
  ): Promise<MemoryHost> {
    const known = servers instanceof ServerChild ? ([servers] as const) : servers;
    const host = this.#parts.use(
      new MemoryHost({
        hostname,
        version: OLD_VERSION,
        servers: known.map(({ agents }) => agents),
        caPem: await known[0].caPem(),
        credential,
        restartMs: 50,
        loopLimits: QUICK_RETURN,
        ...options,
      }),
    );
    await host.log.until("connected");
    return host;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

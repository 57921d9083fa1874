import type { MessageInitShape } from "@bufbuild/protobuf";
import { runSessionLoop } from "../../agent/stream/session-loop.ts";
import { openChannel } from "../../agent/stream/channel.ts";
import { createHello } from "../../agent/hello.ts";
import { LinkKeeper } from "../../agent/link-keeper.ts";
import type { TrustStore } from "../../agent/updater/trust-store.ts";
import type { Settlement } from "../../agent/updater/update-platform.ts";
import { UpdateRunner } from "../../agent/updater/update-runner.ts";
import type { FetchBlocksRequest, FetchManifestResponseSchema, Hello } from "../../gen/rollcall/v1/agent_pb.js";
import {
  createTestAuthority,
  startFakeAgentServer,
  type FakeAgentServer,
  type FakeConnection,
} from "../support/fake-agent-server.ts";
import { openMemoryTrust } from "../support/memory-trust.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakePlatform } from "./fake-platform.ts";
import { RecordingLog } from "./recording-log.ts";
import { createTestRelease, sendBlocks, type TestRelease } from "./test-release.ts";

/** The job that the tests speak of. */
export const JOB_ID = "11111111-1111-4111-8111-111111111111";
/** What runs here. */
const OWN_VERSION = "1.0";

const AUTHORITY = createTestAuthority();
const HALF = { next: () => 0.5, uuid: () => "22222222-2222-4222-8222-222222222222" };

/** What a server that means well answers about a release. */
export function describeRelease(release: TestRelease): MessageInitShape<typeof FetchManifestResponseSchema> {
  const { manifest, signature, blockList, keySet } = release;
  return { manifest, signature, blockList, keys: keySet.bytes, keysSignature: keySet.signature };
}

/** An agent whose disk and clock are fake, connected over real TLS to a server that does as told. */
export class UpdateHarness implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLog();
  readonly platform = new FakePlatform();
  readonly server: FakeAgentServer;
  readonly runner: UpdateRunner;
  readonly release: TestRelease = createTestRelease("2.0");
  readonly fetches: FetchBlocksRequest[] = [];
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;

  private constructor(server: FakeAgentServer, trust: TrustStore, settlement: Settlement) {
    this.server = server;
    this.runner = new UpdateRunner({
      platform: this.platform,
      trust,
      settlement,
      ownPackage: "rollcall-agent",
      ownVersion: OWN_VERSION,
      reserveBytes: 0,
      clock: this.clock,
      random: HALF,
      log: this.log,
    });
    this.serve(this.release);
    const host = { os: "linux", arch: "x64", hostname: "test" };
    const facts = { host, version: OWN_VERSION, instanceId: HALF.uuid(), installRevision: 0 };
    const servers = [server.address];
    this.#loop = runSessionLoop(
      {
        servers: () => servers,
        openChannel: (address) => openChannel(address, Buffer.from(AUTHORITY.caPem)),
        credential: () => "credential",
        hello: () => createHello(facts, this.runner.hello(), trust),
        isUrgent: () => this.runner.isUrgent,
        listener: new LinkKeeper(this.runner, async () => undefined, this.log),
        clock: this.clock,
        random: HALF,
        log: this.log,
      },
      this.#stop.signal,
    );
  }

  static async start(settlement: Settlement = { kind: "none" }): Promise<UpdateHarness> {
    return new UpdateHarness(await startFakeAgentServer(AUTHORITY), await openMemoryTrust(), settlement);
  }

  /** Makes the server deliver this release. */
  serve(release: TestRelease): void {
    const { script } = this.server;
    script.fetchManifest = () => describeRelease(release);
    script.fetchBlocks = (request) => {
      this.fetches.push(request);
      return (async function* () {
        yield* sendBlocks(release, request);
      })();
    };
  }

  /** Accepts the next session. */
  async accept(epoch = 1n): Promise<{ readonly connection: FakeConnection; readonly hello: Hello }> {
    const connection = await this.server.connections.take();
    const hello = await connection.hello();
    connection.welcome(epoch);
    await this.log.until("connected", Number(epoch));
    return { connection, hello };
  }

  /** Ends the session and accepts the one that follows. */
  async reconnect(
    connection: FakeConnection,
    epoch: bigint,
  ): Promise<{ readonly connection: FakeConnection; readonly hello: Hello }> {
    const before = this.log.events.filter((logged) => logged.event === "reconnect_pause").length;
    connection.end();
    const pause = await this.log.until("reconnect_pause", before + 1);
    this.clock.advance(Number(pause["pause_ms"]));
    return this.accept(epoch);
  }

  command(
    connection: FakeConnection,
    changes: {
      jobId?: string;
      fromVersion?: string;
      toVersion?: string;
      package?: string;
      manifestSha256?: Uint8Array;
    } = {},
  ): void {
    connection.send({
      case: "commandUpdate",
      value: {
        jobId: JOB_ID,
        package: "rollcall-agent",
        fromVersion: OWN_VERSION,
        toVersion: "2.0",
        manifestSha256: this.release.manifestSha256,
        ...changes,
      },
    });
  }

  commit(
    connection: FakeConnection,
    changes: { jobId?: string; manifestSha256?: Uint8Array; sessionEpoch?: bigint } = {},
  ): void {
    const value = { jobId: JOB_ID, manifestSha256: this.release.manifestSha256, sessionEpoch: 1n, ...changes };
    connection.send({ case: "commitUpdate", value });
  }

  cancel(connection: FakeConnection, jobId = JOB_ID): void {
    connection.send({ case: "cancelUpdate", value: { jobId } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.runner[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    if (this.clock.sleeping.length > 0)
      throw new Error(`somebody still sleeps for ${this.clock.sleeping.join(", ")} ms`);
  }
}

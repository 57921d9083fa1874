/**
 * A host whose agent is the real one up to its disk: real sessions over real TLS,
 * the real update runner, and a platform that keeps the stage in memory. When it has
 * swapped, it ends and starts again as the new version, as a service manager would
 * start it.
 */
import { randomUUID } from "node:crypto";
import { createHello } from "../../agent/hello.ts";
import { systemClock, systemRandom } from "../../agent/clock-system.ts";
import { LinkKeeper } from "../../agent/link-keeper.ts";
import { openChannel } from "../../agent/stream/channel.ts";
import { runSessionLoop, SESSION_LOOP_LIMITS, type SessionLoopLimits } from "../../agent/stream/session-loop.ts";
import { UPDATE_LIMITS, type UpdateLimits } from "../../agent/updater/update-limits.ts";
import type { Settlement, SwapOrder } from "../../agent/updater/update-platform.ts";
import { UpdateRunner } from "../../agent/updater/update-runner.ts";
import type { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { FakePlatform } from "../agent/fake-platform.ts";
import { RecordingLog } from "../agent/recording-log.ts";
import { MemoryTrustFile, openMemoryTrust } from "./memory-trust.ts";

/** What a host is made of. */
export interface MemoryHostOptions {
  readonly hostname: string;
  readonly version: string;
  /** `host:port`, in the order to try. */
  readonly servers: readonly string[];
  readonly caPem: string;
  readonly credential: string;
  readonly restartMs: number;
  readonly loopLimits?: SessionLoopLimits;
  readonly updateLimits?: UpdateLimits;
  /** Prepares the platform of each process, to make a step wait or fail. */
  readonly prepare?: (platform: FakePlatform) => void;
  /** The new version never comes up: the host is back on the old one, and says why. */
  readonly rollsBack?: JobReason;
}

export class MemoryHost implements AsyncDisposable {
  /** Lines of every process of this host. */
  readonly log = new RecordingLog();
  /** How often a binary was put in place. */
  swaps = 0;
  version: string;
  readonly #options: MemoryHostOptions;
  readonly #trustFile = new MemoryTrustFile();
  readonly #stop = new AbortController();
  readonly #lives: Promise<void>;

  constructor(options: MemoryHostOptions) {
    this.#options = options;
    this.version = options.version;
    this.#lives = this.#live();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#lives;
  }

  async #live(): Promise<void> {
    let settlement: Settlement = { kind: "none" };
    while (!this.#stop.signal.aborted) {
      const platform = new FakePlatform();
      this.#options.prepare?.(platform);
      await this.#runProcess(platform, settlement);
      const [order] = platform.swaps;
      if (order !== undefined) {
        this.swaps += 1;
        settlement = this.#settle(order);
      }
      await systemClock.sleep(this.#options.restartMs, this.#stop.signal).catch(() => undefined);
    }
  }

  #settle({ jobId, toVersion }: SwapOrder): Settlement {
    const { rollsBack } = this.#options;
    if (rollsBack !== undefined) return { kind: "ended", jobId, outcome: "rolledBack", reason: rollsBack, details: {} };
    this.version = toVersion;
    return { kind: "unconfirmed", jobId, toVersion };
  }

  async #runProcess(platform: FakePlatform, settlement: Settlement): Promise<void> {
    const { hostname, servers, caPem, credential } = this.#options;
    const trust = await openMemoryTrust(this.#trustFile);
    await using runner = new UpdateRunner({
      platform,
      trust,
      settlement,
      ownPackage: "rollcall-agent",
      ownVersion: this.version,
      reserveBytes: 0,
      clock: systemClock,
      random: systemRandom,
      log: this.log,
      limits: this.#options.updateLimits ?? UPDATE_LIMITS,
    });
    const facts = {
      host: { os: "linux", arch: "x64", hostname },
      version: this.version,
      instanceId: randomUUID(),
      installRevision: 0,
    };
    const replaced = new AbortController();
    const link = new LinkKeeper(runner, async () => undefined, this.log);
    const loop = runSessionLoop(
      {
        servers: () => servers,
        openChannel: (address) => openChannel(address, Buffer.from(caPem)),
        credential: () => credential,
        hello: () => createHello(facts, runner.hello(), trust),
        isUrgent: () => runner.isUrgent,
        listener: link,
        clock: systemClock,
        random: systemRandom,
        log: this.log,
        limits: this.#options.loopLimits ?? SESSION_LOOP_LIMITS,
      },
      AbortSignal.any([this.#stop.signal, replaced.signal]),
    );
    await Promise.race([loop, runner.replaced.then(() => link.sayGoodbye(systemClock))]);
    replaced.abort();
    await loop;
  }
}

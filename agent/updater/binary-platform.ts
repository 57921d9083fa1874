import { lstat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Clock } from "../clock.ts";
import { isUnchanged, openBinary, takeStock, type BlockStock } from "./block-source.ts";
import { confirmUpdate } from "./confirm.ts";
import { removeIfPresent } from "./durable-file.ts";
import { digestFile } from "./file-digest.ts";
import type { JobLog } from "./job-log.ts";
import { NO_REASON, type Journal } from "./journal.ts";
import { openStage } from "./open-stage.ts";
import { checkPreflight } from "./preflight.ts";
import { probeBinary } from "./probe-binary.ts";
import { settleUpdate } from "./settle.ts";
import type { StageFile } from "./stage-file.ts";
import { swapBinary, swapFailed } from "./swap.ts";
import { hasErrorCode } from "./system-error.ts";
import type { SystemRules } from "./system-rules.ts";
import type { TrustStore } from "./trust-store.ts";
import { updatePaths, type UpdatePaths } from "./update-paths.ts";
import type { Artifact, Settlement, Stage, SwapOrder, UpdatePlatform } from "./update-platform.ts";

const PROBE_LIMIT_MS = 10_000;
/** Of every release so far. *Units*: bytes. */
const USUAL_BLOCK_BYTES = 64 * 1024;

/** Where an agent and its state are, and what it is. */
export interface PlatformOptions {
  /** The agent's own file, absolute. Taken once at start: after a swap the system's answer changes. */
  readonly binaryPath: string;
  /** Absolute; on the host 0700. */
  readonly stateDir: string;
  readonly configPath: string;
  readonly ownVersion: string;
  readonly trust: TrustStore;
  /** What this version says while it is not confirmed. */
  readonly jobLog?: Pick<JobLog, "forget">;
  readonly clock: Clock;
  /** *Units*: milliseconds that a `--probe` may take. */
  readonly probeLimitMs?: number;
}

/** Replaces the agent's own file, by the rules of one operating system. The constructor throws Error when a path is not absolute. */
export class BinaryPlatform implements UpdatePlatform {
  readonly name: string;
  readonly #rules: SystemRules;
  readonly #options: PlatformOptions;
  readonly #paths: UpdatePaths;
  #stage: StageFile | undefined;
  #stock: Promise<BlockStock | undefined> | undefined;

  constructor(options: PlatformOptions, rules: SystemRules) {
    for (const path of [options.binaryPath, options.stateDir]) {
      if (!isAbsolute(path)) throw new Error(`${path} must be an absolute path`);
    }
    this.name = rules.platform;
    this.#rules = rules;
    this.#options = options;
    this.#paths = updatePaths(options.binaryPath, options.stateDir);
  }

  settle(): Promise<Settlement> {
    return settleUpdate(this.#paths, this.#options.trust, this.#options.ownVersion);
  }

  async prepare(): Promise<void> {
    this.#stock ??= takeStock(this.#paths.binary, USUAL_BLOCK_BYTES);
    await this.#stock;
  }

  preflight(artifact: Artifact, reserveBytes: number): Promise<void> {
    return checkPreflight(this.#paths, this.#rules, artifact, reserveBytes);
  }

  async expectBlocks({ blockSizeBytes }: Artifact, blockDigests: readonly Buffer[]): Promise<number[] | undefined> {
    const stock = await this.#knownStock();
    if (stock?.blockSizeBytes !== blockSizeBytes || (await this.#hasLeftover())) return undefined;
    const known = new Set(stock.digests);
    return [...blockDigests.keys()].filter((index) => known.has(blockDigests[index]?.toString("hex") ?? ""));
  }

  /** An earlier attempt's file may hold more than the binary does. */
  #hasLeftover(): Promise<boolean> {
    return lstat(this.#paths.staged).then(
      () => true,
      (error: unknown) => !hasErrorCode(error, "ENOENT"),
    );
  }

  async openStage(artifact: Artifact, blockDigests: readonly Buffer[]): Promise<Stage> {
    await this.leave();
    const wanted = blockDigests.map((digest) => digest.toString("hex"));
    const reading = openBinary(this.#paths.binary, artifact.blockSizeBytes, await this.#stock);
    reading.catch(() => undefined);
    this.#stage = await openStage(this.#paths, this.#rules, artifact, wanted, reading);
    return this.#stage;
  }

  async probe(artifact: Artifact, signal: AbortSignal): Promise<void> {
    const { configPath, stateDir, clock, probeLimitMs = PROBE_LIMIT_MS } = this.#options;
    const request = {
      path: this.#paths.staged,
      configPath,
      stateDir,
      expectedVersion: artifact.version,
      limitMs: probeLimitMs,
    };
    await probeBinary(request, clock, signal);
  }

  async swap(artifact: Artifact, order: SwapOrder): Promise<void> {
    const entry = await this.#createEntry(artifact, order);
    await swapBinary(this.#paths, entry, this.#rules, order.isStillAllowed);
  }

  async #createEntry(artifact: Artifact, order: SwapOrder): Promise<Journal> {
    const { jobId, fromVersion, toVersion, sequence } = order;
    try {
      const sha256 = await this.#digestBinary();
      const { bootId, uptimeMs } = await this.#rules.readMoment();
      const versions = { fromSha256: sha256, toSha256: artifact.sha256, fromVersion, toVersion, sequence };
      return { state: "unconfirmed", jobId, ...versions, bootId, uptimeMs, reason: NO_REASON };
    } catch (cause) {
      throw swapFailed(this.#paths, cause);
    }
  }

  async #digestBinary(): Promise<string> {
    return (await this.#knownStock())?.sha256 ?? (await digestFile(this.#paths.binary)).sha256;
  }

  /** What was learned of the binary, while it is that file still. */
  async #knownStock(): Promise<BlockStock | undefined> {
    const stock = await this.#stock;
    return stock !== undefined && (await isUnchanged(this.#paths.binary, stock)) ? stock : undefined;
  }

  async leave(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    await stage?.leave();
  }

  async discard(): Promise<void> {
    try {
      await this.leave();
    } finally {
      await removeIfPresent(this.#paths.staged);
    }
  }

  async confirm(jobId: string): Promise<boolean> {
    const isConfirmed = await confirmUpdate(this.#paths, this.#options.trust, jobId);
    if (isConfirmed) await this.#options.jobLog?.forget();
    return isConfirmed;
  }
}

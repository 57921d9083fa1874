import { hash } from "node:crypto";
import { UpdateError } from "../../agent/updater/update-error.ts";
import type { Artifact, Settlement, Stage, SwapOrder, UpdatePlatform } from "../../agent/updater/update-platform.ts";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";

/** The calls that a fake platform can be made to wait in, or to fail in. */
export type PlatformStep = "preflight" | "openStage" | "write" | "complete" | "probe" | "swap" | "confirm" | "discard";

/** Replaces nothing: it keeps the stage in memory and remembers what was asked of it. What was left of one is reused. */
export class FakePlatform implements UpdatePlatform {
  readonly name = "linux-x64";
  readonly calls: string[] = [];
  readonly swaps: SwapOrder[] = [];
  /** Indexes of the blocks that were written, in their order. */
  readonly written: number[] = [];
  staged: Buffer | undefined;
  isConfirmable = true;
  readonly #before = new Map<PlatformStep, (attempt: number) => Promise<void> | void>();
  readonly #attempts = new Map<PlatformStep, number>();

  /** Runs `act` each time that step is reached, before it happens. */
  before(step: PlatformStep, act: (attempt: number) => Promise<void> | void): void {
    this.#before.set(step, act);
  }

  /** Makes a step wait. *Shape*: resolves when it is reached; `release` lets it go on, or fail. */
  hold(step: PlatformStep): { readonly reached: Promise<void>; readonly release: (failure?: Error) => void } {
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.before(step, () => {
      reached.resolve();
      return released.promise;
    });
    return {
      reached: reached.promise,
      release: (failure) => (failure === undefined ? released.resolve() : released.reject(failure)),
    };
  }

  async settle(): Promise<Settlement> {
    return { kind: "none" };
  }

  async prepare(): Promise<void> {}

  async preflight(): Promise<void> {
    await this.#reach("preflight");
  }

  async expectBlocks(): Promise<undefined> {
    return undefined;
  }

  async openStage(artifact: Artifact, blockDigests: readonly Buffer[]): Promise<Stage> {
    await this.#reach("openStage");
    const { sizeBytes, blockSizeBytes } = artifact;
    const bytes = Buffer.alloc(sizeBytes);
    this.staged?.copy(bytes);
    this.staged = bytes;
    const present = blockDigests.flatMap((digest, index) => {
      const block = bytes.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
      return hash("sha256", block, "buffer").equals(digest) ? [index] : [];
    });
    return {
      present,
      write: async (blockIndex, block) => {
        await this.#reach("write");
        bytes.set(block, blockIndex * blockSizeBytes);
        this.written.push(blockIndex);
      },
      complete: () => this.#reach("complete"),
      untilDurable: async () => undefined,
    };
  }

  async probe(): Promise<void> {
    await this.#reach("probe");
  }

  async swap(_artifact: Artifact, order: SwapOrder): Promise<void> {
    await this.#reach("swap");
    if (!order.isStillAllowed()) throw new UpdateError(JobReason.COMMIT_EXPIRED, { detail: "too late for the rename" });
    this.swaps.push(order);
  }

  async leave(): Promise<void> {
    this.calls.push("leave");
  }

  async discard(): Promise<void> {
    await this.#reach("discard");
    this.staged = undefined;
  }

  async confirm(): Promise<boolean> {
    await this.#reach("confirm");
    return this.isConfirmable;
  }

  async #reach(step: PlatformStep): Promise<void> {
    const attempt = (this.#attempts.get(step) ?? 0) + 1;
    this.#attempts.set(step, attempt);
    if (step !== "write") this.calls.push(step);
    await this.#before.get(step)?.(attempt);
  }
}

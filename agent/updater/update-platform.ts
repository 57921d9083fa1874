/**
 * What an update asks of the operating system. The order of calls is
 *
 *     settle (once, at start)
 *     prepare (while there is nothing else to do)
 *     preflight → expectBlocks → openStage → write … → complete → probe, untilDurable → (commit) → swap → the process ends
 *     leave or discard (whenever a stage is dropped)
 *
 * Everything before `swap` leaves the binary at `binaryPath` and its `.old` as
 * they were. At every instant a whole, runnable binary stands at `binaryPath`.
 * No call blocks the event loop: heartbeats go on.
 */
import type { FailureDetails } from "./update-error.ts";
import type { JobReason } from "../../gen/rollcall/v1/model_pb.js";

/** One artifact as its manifest describes it. */
export interface Artifact {
  readonly version: string;
  /** `<os>-<arch>` */
  readonly platform: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly blockSizeBytes: number;
}

/** The new binary while it is put together, block by block, in any order. */
export interface Stage {
  /** Indexes of the blocks that stand at their places: at first those that this host had already. */
  readonly present: readonly number[];
  /** Writes one block at its place. Throws UpdateError (download_failed with the system's error name) when the disk refuses. */
  write(blockIndex: number, bytes: Uint8Array): Promise<void>;
  /** Closes the file; then checks size, sha256 (read back from disk) and platform. It is executable then, and being made durable. */
  complete(): Promise<void>;
  /** Resolves once all of a complete stage is on the disk. Throws UpdateError like `write`. */
  untilDurable(): Promise<void>;
}

/** What a committed swap is remembered by. */
export interface SwapOrder {
  readonly jobId: string;
  readonly fromVersion: string;
  readonly toVersion: string;
  /** sequence of the release's manifest. */
  readonly sequence: number;
  /** Asked again right before the rename; false drops the swap (commit_expired). */
  readonly isStillAllowed: () => boolean;
}

/** How the last update on this host ended, or that it is still unconfirmed. */
export type Settlement =
  | { readonly kind: "none" }
  /** This process is the new version and must be confirmed by a Welcome. */
  | { readonly kind: "unconfirmed"; readonly jobId: string; readonly toVersion: string }
  | {
      readonly kind: "ended";
      readonly jobId: string;
      readonly outcome: "succeeded" | "failed" | "rolledBack";
      readonly reason: JobReason;
      readonly details: FailureDetails;
      /** What the version that was rolled back said last, in UTF-8. */
      readonly log?: Buffer;
    };

/** One operating system's way to replace the agent's own binary. */
export interface UpdatePlatform {
  /** `<os>-<arch>` of this host. */
  readonly name: string;
  /** Reads what the last update left behind and tidies it. Called once, before the first Hello. */
  settle(): Promise<Settlement>;
  /** Does ahead of an update what else it would have to wait for. May be left out, and called again. */
  prepare(): Promise<void>;
  /** Throws UpdateError (preflight_*) when the binary could not be replaced here, before a byte is fetched. */
  preflight(artifact: Artifact, reserveBytes: number): Promise<void>;
  /**
   * Indexes of the blocks that `openStage` will find on this host, told before it has copied a byte, so that
   * the others can be on their way meanwhile. `undefined` when only opening the stage tells.
   */
  expectBlocks(artifact: Artifact, blockDigests: readonly Buffer[]): Promise<readonly number[] | undefined>;
  /** Opens a stage with every block in place that this host has already. `blockDigests` are the artifact's, in order. */
  openStage(artifact: Artifact, blockDigests: readonly Buffer[]): Promise<Stage>;
  /** Runs the staged binary's `--probe`. Throws UpdateError (probe_failed) unless it prints `artifact.version`. */
  probe(artifact: Artifact, signal: AbortSignal): Promise<void>;
  /** Puts the stage in place. Returns once that is durable; the caller ends its process. Throws UpdateError (swap_failed, commit_expired). */
  swap(artifact: Artifact, order: SwapOrder): Promise<void>;
  /** Ends work on the stage, if any, and leaves what is sound of it to a later attempt. */
  leave(): Promise<void>;
  /** Deletes the stage, if any, and what an earlier one left. */
  discard(): Promise<void>;
  /** Marks the unconfirmed update as good. False when the guard decided otherwise first. */
  confirm(jobId: string): Promise<boolean>;
}

/** Where an update's bytes come from, as the updater sees it. */
import type { FetchBlocksResponse, FetchManifestResponse } from "../../gen/rollcall/v1/agent_pb.js";
import type { Range } from "./block-plan.ts";

/** The current session's way to fetch. A call that fails for any reason throws; the caller tries again elsewhere. */
export interface Delivery {
  fetchManifest(jobId: string, signal: AbortSignal): Promise<FetchManifestResponse>;
  /**
   * Streams blocks, in the order asked for. Resolves when the server has sent all it will.
   * `take` may return a promise: no further block is read before enough of them are settled.
   */
  fetchBlocks(
    jobId: string,
    ranges: readonly Range[],
    take: (block: FetchBlocksResponse) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
}

/** A delivery that will not succeed however often it is tried: the server said that this host may not have it. */
export class DeliveryRefusedError extends Error {
  constructor(sentence: string, cause: unknown) {
    super(sentence, { cause });
    this.name = "DeliveryRefusedError";
  }
}

/**
 * Finds the way to fetch, anew for every attempt.
 *
 * *Shape*: `undefined` while no session is open.
 */
export type DeliverySource = () => Delivery | undefined;

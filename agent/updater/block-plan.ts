/** Which blocks of an artifact to fetch: a plan starts with everything missing. */
import type { BlockRange } from "../../gen/rollcall/v1/agent_pb.js";

/** *Source*: `FetchBlocksRequest.ranges` in agent.proto. */
const MAX_RANGES = 4096;

/** First block and number of blocks. */
export type Range = Pick<BlockRange, "first" | "count">;

/** What is still to be fetched. */
export class BlockPlan {
  readonly #missing: Uint8Array;
  #missingCount: number;

  constructor(blockCount: number) {
    this.#missing = new Uint8Array(blockCount).fill(1);
    this.#missingCount = blockCount;
  }

  get missingCount(): number {
    return this.#missingCount;
  }

  isMissing(index: number): boolean {
    return this.#missing[index] === 1;
  }

  /** Records that a block stands in the stage, durable or not. */
  markPresent(index: number): void {
    if (!this.isMissing(index)) return;
    this.#missing[index] = 0;
    this.#missingCount -= 1;
  }

  /** Records that a block does not stand in the stage after all. */
  markMissing(index: number): void {
    if (this.isMissing(index)) return;
    this.#missing[index] = 1;
    this.#missingCount += 1;
  }

  /** The missing blocks as ranges, lowest first; what exceeds one request is left for the next. */
  missingRanges(): readonly Range[] {
    const ranges: Range[] = [];
    let first = this.#missing.indexOf(1);
    while (first !== -1 && ranges.length < MAX_RANGES) {
      const present = this.#missing.indexOf(0, first);
      const end = present === -1 ? this.#missing.length : present;
      ranges.push({ first, count: end - first });
      first = this.#missing.indexOf(1, end);
    }
    return ranges;
  }
}

import type { BlockRange } from "../../gen/rollcall/v1/agent_pb.js";
import { InvalidFieldError } from "./errors.ts";

/** The layout of an artifact: every block has the same size but the last. */
export interface BlockLayout {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
}

/** Blocks first … first + count - 1. */
export type Range = Pick<BlockRange, "first" | "count">;

/** How many blocks an artifact has. */
export function blockCountOf(layout: BlockLayout): number {
  return Math.ceil(layout.sizeBytes / layout.blockSizeBytes);
}

/** *Throws* InvalidFieldError for the first range that leaves the artifact. */
export function checkRanges(ranges: readonly Range[], layout: BlockLayout): void {
  const blockCount = blockCountOf(layout);
  for (const [index, range] of ranges.entries()) {
    if (range.first >= blockCount)
      throw new InvalidFieldError(`ranges[${index}].first`, `must be below ${blockCount}, the number of blocks`);
    if (range.count > blockCount - range.first)
      throw new InvalidFieldError(`ranges[${index}].count`, `must be at most ${blockCount - range.first}`);
  }
}

/** *Units*: bytes of one block. */
export function blockLength(index: number, layout: BlockLayout): number {
  return Math.min(layout.blockSizeBytes, layout.sizeBytes - index * layout.blockSizeBytes);
}

/** *Units*: bytes of all blocks in `ranges`, as often as they are asked for. */
export function bytesOf(ranges: readonly Range[], layout: BlockLayout): number {
  return ranges.reduce(
    (sum, { first, count }) => sum + (count - 1) * layout.blockSizeBytes + blockLength(first + count - 1, layout),
    0,
  );
}

/** The blocks of `ranges` in their order, at most `greatestCount` at a time, across ranges. */
export function* splitRanges(ranges: readonly Range[], greatestCount: number): Generator<readonly number[]> {
  let part: number[] = [];
  for (const { first, count } of ranges) {
    for (let index = first; index < first + count; index += 1) {
      part.push(index);
      if (part.length < greatestCount) continue;
      yield part;
      part = [];
    }
  }
  if (part.length > 0) yield part;
}

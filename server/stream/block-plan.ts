import type { BlockRange } from "../../gen/rollcall/v1/agent_pb.js";
import { InvalidFieldError } from "../domain/errors.ts";
import type { Delivery } from "./ports.ts";

/** The layout of an artifact: every block has the same size but the last. */
export type ArtifactLayout = Pick<Delivery, "sizeBytes" | "blockSizeBytes">;

type Range = Pick<BlockRange, "first" | "count">;

/** *Throws* InvalidFieldError for the first range that leaves the artifact. */
export function checkRanges(ranges: readonly Range[], layout: ArtifactLayout): void {
  const blockCount = Math.ceil(layout.sizeBytes / layout.blockSizeBytes);
  for (const [index, range] of ranges.entries()) {
    if (range.first >= blockCount)
      throw new InvalidFieldError(`ranges[${index}].first`, `must be below ${blockCount}, the number of blocks`);
    if (range.count > blockCount - range.first)
      throw new InvalidFieldError(`ranges[${index}].count`, `must be at most ${blockCount - range.first}`);
  }
}

/** Bytes of one block. */
export function blockLength(index: number, layout: ArtifactLayout): number {
  return Math.min(layout.blockSizeBytes, layout.sizeBytes - index * layout.blockSizeBytes);
}

/** Bytes of all blocks in `ranges`, as often as they are asked for. */
export function bytesOf(ranges: readonly Range[], layout: ArtifactLayout): number {
  return ranges.reduce(
    (sum, { first, count }) => sum + (count - 1) * layout.blockSizeBytes + blockLength(first + count - 1, layout),
    0,
  );
}

/** The same blocks in the same order, at most `greatestCount` at a time. */
export function* splitRanges(ranges: readonly Range[], greatestCount: number): Generator<Range> {
  for (const { first, count } of ranges) {
    for (let done = 0; done < count; done += greatestCount) {
      yield { first: first + done, count: Math.min(greatestCount, count - done) };
    }
  }
}

/**
 * Which blocks of a release this host has already. Blocks are told apart by
 * sha256 alone; where a file came from and whether somebody changed it meanwhile
 * makes no difference.
 */
import type { BlockDigest } from "./block-digests.ts";

/** A block to be copied: from this index of a file to that index of the stage. */
export interface BlockMove {
  readonly from: number;
  readonly to: number;
}

/** How the blocks that are at hand come to their places. */
export interface ReusePlan {
  /** Blocks of the stage that are right as they are. */
  readonly inPlace: readonly number[];
  /** Within the stage, in this order: by turns, so that a shift in either direction overwrites no source before it was read. */
  readonly withinStage: readonly BlockMove[];
  /** From the running binary, lowest place first. */
  readonly fromBinary: readonly BlockMove[];
}

/**
 * Finds each block of `wanted` in the stage at its place, else in the stage at
 * another, else in the binary. What is in neither is missing from the plan.
 */
export function planReuse(
  wanted: readonly BlockDigest[],
  stage: readonly BlockDigest[],
  binary: readonly BlockDigest[],
): ReusePlan {
  const [stageIndexes, binaryIndexes] = [indexBlocks(stage), indexBlocks(binary)];
  const inPlace: number[] = [];
  const down: BlockMove[] = [];
  const up: BlockMove[] = [];
  const fromBinary: BlockMove[] = [];
  for (const [to, digest] of wanted.entries()) {
    const [inStage, inBinary] = [stageIndexes.get(digest), binaryIndexes.get(digest)];
    if (stage[to] === digest) inPlace.push(to);
    else if (inBinary !== undefined) fromBinary.push({ from: inBinary, to });
    else if (inStage !== undefined) (inStage > to ? down : up).push({ from: inStage, to });
  }
  return { inPlace, withinStage: [...down, ...up.toReversed()], fromBinary };
}

/** Whether a stage holds a block of `wanted` that the binary does not. */
export function isWorthKeeping(
  wanted: readonly BlockDigest[],
  stage: readonly BlockDigest[],
  binary: readonly BlockDigest[],
): boolean {
  const [inStage, inBinary] = [new Set(stage), new Set(binary)];
  return wanted.some((digest) => inStage.has(digest) && !inBinary.has(digest));
}

/** The first index of each block. */
function indexBlocks(digests: readonly BlockDigest[]): ReadonlyMap<BlockDigest, number> {
  const indexes = new Map<BlockDigest, number>();
  for (const [index, digest] of digests.entries()) if (!indexes.has(digest)) indexes.set(digest, index);
  return indexes;
}

import type { FileHandle } from "node:fs/promises";
import type { BlockRange } from "../../gen/rollcall/v1/agent_pb.js";
import { allocateBlockMessage, type BlockMessage } from "./block-message.ts";
import { blockLength, splitRanges, type ArtifactLayout } from "./block-plan.ts";

/** One read of the file. Large, since each costs a trip through the thread pool. */
const READ_BYTES = 1_048_576;

/**
 * The messages of all blocks in `ranges`, in order, one read's worth at a time.
 * The next read is under way while the one before is being sent.
 *
 * *Throws* Error when the file is shorter than its layout says.
 */
export async function* readBlocks(
  file: FileHandle,
  ranges: readonly Pick<BlockRange, "first" | "count">[],
  layout: ArtifactLayout,
): AsyncGenerator<readonly BlockMessage[], void, void> {
  const blocksARead = Math.max(1, Math.floor(READ_BYTES / layout.blockSizeBytes));
  let ahead: Promise<readonly BlockMessage[]> | undefined;
  try {
    for (const { first, count } of splitRanges(ranges, blocksARead)) {
      const ready = ahead;
      ahead = read(file, first, count, layout);
      // It is awaited one turn later; until then its failure is nobody's.
      ahead.catch(() => {});
      if (ready !== undefined) yield await ready;
    }
    if (ahead !== undefined) yield await ahead;
  } finally {
    // The file may be closed after this, so no read may be under way.
    await ahead?.catch(() => {});
  }
}

async function read(
  file: FileHandle,
  first: number,
  count: number,
  layout: ArtifactLayout,
): Promise<readonly BlockMessage[]> {
  const blocks: readonly BlockMessage[] = Array.from({ length: count }, (_, offset) => {
    const index = first + offset;
    return allocateBlockMessage(index, blockLength(index, layout));
  });
  const wanted = blocks.reduce((sum, block) => sum + block.data.length, 0);
  const { bytesRead } = await file.readv(
    blocks.map((block) => block.data),
    first * layout.blockSizeBytes,
  );
  if (bytesRead !== wanted) throw new Error(`the artifact ends ${wanted - bytesRead} bytes too early`);
  return blocks;
}

import type { FileHandle } from "node:fs/promises";
import type { BlockRange } from "../../gen/rollcall/v1/agent_pb.js";
import { layOutBlockMessage, MESSAGE_OVERHEAD_BYTES, type BlockMessage } from "./block-message.ts";
import { blockLength, splitRanges, type ArtifactLayout } from "./block-plan.ts";

/** One read of the file. Large, since each costs a trip through the thread pool. */
const READ_BYTES = 1_048_576;

/**
 * The messages of all blocks in `ranges`, in order, one read's worth at a time.
 * The next read is under way while the one before is being sent.
 *
 * Two reads' worth of memory serve the whole call, since buffers that are left to
 * the garbage collector make it go over the whole heap every 32 MB or so. The
 * caller is done with the messages when it asks for the next ones.
 *
 * *Throws* Error when the file is shorter than its layout says.
 */
export async function* readBlocks(
  file: FileHandle,
  ranges: readonly Pick<BlockRange, "first" | "count">[],
  layout: ArtifactLayout,
): AsyncGenerator<readonly BlockMessage[], void, void> {
  const blocksARead = Math.max(1, Math.floor(READ_BYTES / layout.blockSizeBytes));
  const memoryBytes = blocksARead * (layout.blockSizeBytes + MESSAGE_OVERHEAD_BYTES);
  let free = Buffer.allocUnsafeSlow(memoryBytes);
  let taken = Buffer.allocUnsafeSlow(memoryBytes);
  let ahead: Promise<readonly BlockMessage[]> | undefined;
  try {
    for (const { first, count } of splitRanges(ranges, blocksARead)) {
      const ready = await ahead;
      [free, taken] = [taken, free];
      ahead = read(file, first, count, layout, taken);
      // It is awaited one turn later; until then its failure is nobody's.
      ahead.catch(() => {});
      if (ready !== undefined) yield ready;
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
  memory: Buffer,
): Promise<readonly BlockMessage[]> {
  const slotBytes = layout.blockSizeBytes + MESSAGE_OVERHEAD_BYTES;
  const blocks: readonly BlockMessage[] = Array.from({ length: count }, (_, offset) => {
    const slot = memory.subarray(offset * slotBytes, (offset + 1) * slotBytes);
    return layOutBlockMessage(slot, first + offset, blockLength(first + offset, layout));
  });
  const wanted = blocks.reduce((sum, block) => sum + block.data.length, 0);
  const { bytesRead } = await file.readv(
    blocks.map((block) => block.data),
    first * layout.blockSizeBytes,
  );
  if (bytesRead !== wanted) throw new Error(`the artifact ends ${wanted - bytesRead} bytes too early`);
  return blocks;
}

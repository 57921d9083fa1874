import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";

const compress = promisify(zstdCompress);

/**
 * On 64 KiB blocks of a Node binary of 109 MB: level 3 leaves 40.4 % in 0.9 s of CPU,
 * level 5 39.6 % in 1.6 s, level 7 39.1 % in 2.3 s, level 12 39.0 % in 52 s.
 */
const LEVEL = 5;

/** Blocks of one caller that are compressed at the same time: half of the thread pool, the files keep the rest. */
const LANES = 2;

/** Compresses blocks off the event loop. *Shape*: in their order; one that does not shrink comes back as it is. */
export async function compressBlocks(blocks: readonly Buffer[]): Promise<readonly Buffer[]> {
  const results: Buffer[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let block = blocks[next]; block !== undefined; block = blocks[next]) {
      const index = next++;
      results[index] = await compressBlock(block);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

async function compressBlock(block: Buffer): Promise<Buffer> {
  const compressed = await compress(block, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    // The whole result in one piece.
    chunkSize: Math.max(64, block.length),
  });
  return compressed.length < block.length ? compressed : block;
}

import { hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { readChunks } from "./read-chunks.ts";

const READ_BYTES = 1024 * 1024;

/** sha256 of one block, in lower-case hex. */
export type BlockDigest = string;

/** sha256 of each block of an open file, in order; the last block may be a short one. */
export async function digestBlocks(file: FileHandle, blockSizeBytes: number): Promise<readonly BlockDigest[]> {
  const digests: BlockDigest[] = [];
  for await (const chunk of readChunks(file, blockSizeBytes * Math.max(1, Math.floor(READ_BYTES / blockSizeBytes)))) {
    for (let start = 0; start < chunk.length; start += blockSizeBytes) {
      digests.push(hash("sha256", chunk.subarray(start, start + blockSizeBytes), "hex"));
    }
  }
  return digests;
}

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** What a file really holds. */
export interface ArtifactDigest {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** sha256 of each block, 32 bytes each, in order. */
  readonly blockList: Buffer;
}

/**
 * Reads a file once and digests it whole and by block.
 *
 * *Throws* the system's error when the file cannot be read.
 */
export async function digestArtifact(path: string, blockSizeBytes: number): Promise<ArtifactDigest> {
  const whole = createHash("sha256");
  const blocks: Buffer[] = [];
  const buffer = Buffer.allocUnsafe(blockSizeBytes);
  let sizeBytes = 0;
  await using file = await open(path, "r");
  for (;;) {
    const filled = await fill(file, buffer);
    if (filled === 0) break;
    const block = buffer.subarray(0, filled);
    whole.update(block);
    blocks.push(createHash("sha256").update(block).digest());
    sizeBytes += filled;
    if (filled < buffer.length) break;
  }
  return { sizeBytes, sha256: whole.digest("hex"), blockList: Buffer.concat(blocks) };
}

/** Reads until the buffer is full or the file ends: a read may be short. */
async function fill(file: Awaited<ReturnType<typeof open>>, buffer: Buffer): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

import { hash } from "node:crypto";
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { blockCountOf, blockLength } from "../domain/block-layout.ts";
import type { ArtifactFile } from "../stream/ports.ts";
import { describeBlock, encodeTrailer, type StoredBlock } from "./cache-file.ts";
import { compressBlocks } from "./compress-block.ts";
import { readPieces } from "./read-pieces.ts";

/** *Units*: bytes that are read, compressed and written at a time. */
const STEP_BYTES = 1_048_576;

/**
 * Compresses an artifact into the file at `path`, which appears whole or not at all.
 *
 * *Throws* Error when the artifact is not what its block list says, or with the
 * system's word; the signal's reason.
 */
export async function writeCache(artifact: ArtifactFile, path: string, signal: AbortSignal): Promise<void> {
  const temporary = `${path}.tmp`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(temporary, { force: true });
  try {
    await using source = await open(artifact.artifactPath, "r");
    {
      await using target = await open(temporary, "wx", 0o600);
      await writeBlocks(source, target, artifact, signal);
      await target.sync();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}

async function writeBlocks(
  source: FileHandle,
  target: FileHandle,
  artifact: ArtifactFile,
  signal: AbortSignal,
): Promise<void> {
  const blockCount = blockCountOf(artifact);
  const blocksAStep = Math.max(1, Math.floor(STEP_BYTES / artifact.blockSizeBytes));
  const memory = Buffer.allocUnsafeSlow(Math.min(blocksAStep, blockCount) * artifact.blockSizeBytes);
  const stored: StoredBlock[] = [];
  let offset = 0;
  for (let first = 0; first < blockCount; first += blocksAStep) {
    signal.throwIfAborted();
    const count = Math.min(blocksAStep, blockCount - first);
    const blocks = Array.from({ length: count }, (_, number) => {
      const start = number * artifact.blockSizeBytes;
      return memory.subarray(start, start + blockLength(first + number, artifact));
    });
    await readPieces(
      source,
      blocks.map((into, number) => ({ offset: (first + number) * artifact.blockSizeBytes, into })),
    );
    for (const [number, block] of blocks.entries()) checkBlock(block, first + number, artifact);
    const compressed = await compressBlocks(blocks);
    for (const bytes of compressed) {
      stored.push(describeBlock(bytes, offset));
      offset += bytes.length;
    }
    await writeAll(target, compressed);
  }
  await writeAll(target, [encodeTrailer(artifact, stored)]);
}

function checkBlock(block: Buffer, index: number, artifact: ArtifactFile): void {
  const digest = artifact.blockList.subarray(index * 32, index * 32 + 32);
  if (!hash("sha256", block, "buffer").equals(digest))
    throw new Error(`block ${index} is not what its block list says`);
}

async function writeAll(file: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  const wanted = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  const { bytesWritten } = await file.writev([...buffers]);
  if (bytesWritten !== wanted)
    throw new Error(`${wanted - bytesWritten} bytes could not be written; is the disk full?`);
}

/**
 * The file that holds an artifact's blocks as they go on the wire:
 *
 *     blocks, one after another │ index: length and crc32 of each │ footer
 *
 * A block is zstd unless it is as long as it was, which one that does not shrink is.
 * The footer says which artifact this is and holds the sha256 of index and footer, so
 * that a torn file, or another's, is known when it is opened. The crc32 is compared
 * whenever a block is read: what a disk does to the file later is noticed before
 * anything of it is sent. Numbers are little-endian.
 */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { blockCountOf, blockLength, type BlockLayout } from "../domain/block-layout.ts";
import { readWhole } from "./read-pieces.ts";

/** Which artifact a cache is of. */
export interface CachedArtifact extends BlockLayout {
  /** Lower-case hex. */
  readonly sha256: string;
}

/** A block in the file. */
export interface StoredBlock {
  readonly offset: number;
  readonly length: number;
  readonly crc32: number;
}

const MAGIC = Buffer.from("rollcall-blocks1", "latin1");
const ENTRY_BYTES = 8;
/** Magic, block size, count, size, sha256 of the artifact, sha256 of index and footer. */
const FOOTER_BYTES = 16 + 4 + 4 + 8 + 32 + 32;

/** Where a block will stand, and its checksum. */
export function describeBlock(bytes: Buffer, offset: number): StoredBlock {
  return { offset, length: bytes.length, crc32: crc32(bytes) };
}

/** Index and footer for these blocks, in their order. */
export function encodeTrailer(artifact: CachedArtifact, blocks: readonly StoredBlock[]): Buffer {
  const indexBytes = blocks.length * ENTRY_BYTES;
  const trailer = Buffer.alloc(indexBytes + FOOTER_BYTES);
  for (const [number, block] of blocks.entries()) {
    trailer.writeUInt32LE(block.length, number * ENTRY_BYTES);
    trailer.writeUInt32LE(block.crc32, number * ENTRY_BYTES + 4);
  }
  MAGIC.copy(trailer, indexBytes);
  trailer.writeUInt32LE(artifact.blockSizeBytes, indexBytes + 16);
  trailer.writeUInt32LE(blocks.length, indexBytes + 20);
  trailer.writeBigUInt64LE(BigInt(artifact.sizeBytes), indexBytes + 24);
  trailer.write(artifact.sha256, indexBytes + 32, "hex");
  sha256Of(trailer.subarray(0, -32)).copy(trailer, indexBytes + 64);
  return trailer;
}

/**
 * Reads where the blocks stand.
 *
 * *Throws* Error that says why this is not a whole cache of this artifact.
 */
export async function readTrailer(file: FileHandle, artifact: CachedArtifact): Promise<readonly StoredBlock[]> {
  const count = blockCountOf(artifact);
  const trailer = Buffer.alloc(count * ENTRY_BYTES + FOOTER_BYTES);
  const { size } = await file.stat();
  if (size < trailer.length) throw new Error(`it has ${size} bytes`);
  await readWhole(file, trailer, size - trailer.length);
  if (!sha256Of(trailer.subarray(0, -32)).equals(trailer.subarray(-32))) throw new Error("its index is damaged");
  const blocks: StoredBlock[] = [];
  let offset = 0;
  for (let number = 0; number < count; number += 1) {
    const length = trailer.readUInt32LE(number * ENTRY_BYTES);
    if (length > blockLength(number, artifact)) throw new Error(`block ${number} is longer than the artifact's`);
    blocks.push({ offset, length, crc32: trailer.readUInt32LE(number * ENTRY_BYTES + 4) });
    offset += length;
  }
  if (!encodeTrailer(artifact, blocks).equals(trailer)) throw new Error("it is of another artifact");
  if (size !== offset + trailer.length) throw new Error(`it has ${size} bytes, not ${offset + trailer.length}`);
  return blocks;
}

/** Whether these are the bytes that were stored. */
export function isIntact(bytes: Buffer, block: StoredBlock): boolean {
  return crc32(bytes) === block.crc32;
}

function sha256Of(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

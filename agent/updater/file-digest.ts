import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";

const CHUNK_BYTES = 1024 * 1024;

/** What a file holds. */
export interface FileDigest {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Its first 64 bytes, or all of a shorter one. */
  readonly head: Uint8Array;
}

/** Reads a whole file once, the next chunk while the last one is hashed. Does not follow a symbolic link. */
export async function digestFile(path: string): Promise<FileDigest> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const hash = createHash("sha256");
  const buffers = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)] as const;
  let head: Uint8Array = new Uint8Array();
  let sizeBytes = 0;
  let reading = file.read(buffers[0], 0, CHUNK_BYTES, 0);
  for (let turn = 1; ; turn += 1) {
    const { bytesRead, buffer } = await reading;
    if (bytesRead === 0) return { sizeBytes, sha256: hash.digest("hex"), head };
    const chunk = buffer.subarray(0, bytesRead);
    if (sizeBytes === 0) head = Uint8Array.from(chunk.subarray(0, 64));
    sizeBytes += bytesRead;
    reading = file.read(turn % 2 === 0 ? buffers[0] : buffers[1], 0, CHUNK_BYTES, sizeBytes);
    hash.update(chunk);
  }
}

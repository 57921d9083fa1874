import type { FileHandle } from "node:fs/promises";

/**
 * Reads an open file from its start to its end, the next chunk while the caller
 * works on the one before. Two buffers serve the whole file: a chunk is the
 * caller's until it asks for the next one.
 *
 * *Shape*: every chunk has `chunkBytes` but the last; none for an empty file.
 */
export async function* readChunks(file: FileHandle, chunkBytes: number): AsyncGenerator<Buffer, void, void> {
  let [free, taken] = [Buffer.allocUnsafe(chunkBytes), Buffer.allocUnsafe(chunkBytes)];
  let position = 0;
  let ahead: Promise<Buffer> | undefined = fill(file, taken, position);
  try {
    while (ahead !== undefined) {
      const chunk: Buffer = await ahead;
      position += chunk.length;
      ahead = undefined;
      [free, taken] = [taken, free];
      if (chunk.length === chunkBytes) ahead = fill(file, taken, position);
      // It is awaited one turn later; until then its failure is nobody's.
      ahead?.catch(() => undefined);
      if (chunk.length > 0) yield chunk;
    }
  } finally {
    // The file may be closed after this, so no read may be under way.
    await ahead?.catch(() => undefined);
  }
}

/** read(2) may give less than was asked for; only the end of the file gives nothing. */
async function fill(file: FileHandle, buffer: Buffer, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/**
 * Bytes in chunks that are sealed one by one, so that a file of any size is written and
 * read with little memory, and none of it counts before it was checked:
 *
 *     4 bytes   length of what follows, less the tag; the top bit marks the last chunk
 *     n bytes   AES-256-GCM
 *     16 bytes  tag
 *
 * The nonce is the chunk's number, and the first line of the file and the mark of the
 * last chunk are authenticated with each: chunks that are damaged, missing, doubled or
 * out of order do not open, and a file that was cut has no last one.
 *
 * *Source*: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
 * Nonce-Reuse Misuse-Resistance" (STREAM).
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { BackupKey } from "./backup-key.ts";

const CHUNK_BYTES = 256 * 1024;
const LENGTH_BYTES = 4;
const TAG_BYTES = 16;
const LAST = 0x8000_0000;

/** A chunk that does not open. */
export class BrokenSealError extends Error {
  /** Nothing of the file could be opened: the key may be another. */
  readonly isFirst: boolean;

  constructor(isFirst: boolean) {
    super("a chunk does not open");
    this.name = "BrokenSealError";
    this.isFirst = isFirst;
  }
}

/** Seals what comes. */
export async function* sealChunks(source: AsyncIterable<Uint8Array>, key: BackupKey): AsyncGenerator<Buffer> {
  let waiting = Buffer.alloc(0);
  let number = 0;
  for await (const piece of source) {
    waiting = Buffer.concat([waiting, piece]);
    // One byte more: the last chunk is known once nothing follows it.
    while (waiting.length > CHUNK_BYTES) {
      yield seal(waiting.subarray(0, CHUNK_BYTES), key, number++, false);
      waiting = waiting.subarray(CHUNK_BYTES);
    }
  }
  yield seal(waiting, key, number, true);
}

/** Opens what sealChunks made. *Throws* BrokenSealError. */
export async function* openChunks(source: AsyncIterable<Uint8Array>, key: BackupKey): AsyncGenerator<Buffer> {
  let waiting = Buffer.alloc(0);
  let number = 0;
  let isOver = false;
  for await (const piece of source) {
    waiting = Buffer.concat([waiting, piece]);
    for (let size = sealedSize(waiting); size !== undefined && size <= waiting.length; size = sealedSize(waiting)) {
      if (isOver || size > LENGTH_BYTES + CHUNK_BYTES + TAG_BYTES) throw new BrokenSealError(number === 0);
      const { bytes, isLast } = open(waiting.subarray(0, size), key, number++);
      waiting = waiting.subarray(size);
      isOver = isLast;
      yield bytes;
    }
    // A damaged length would have the rest of the file gathered in memory.
    if (waiting.length > 2 * CHUNK_BYTES + piece.length) throw new BrokenSealError(number === 0);
  }
  if (!isOver || waiting.length > 0) throw new BrokenSealError(number === 0);
}

/** *Shape*: `undefined` while the length has not come yet. */
function sealedSize(waiting: Buffer): number | undefined {
  if (waiting.length < LENGTH_BYTES) return undefined;
  return LENGTH_BYTES + (waiting.readUInt32BE(0) & ~LAST) + TAG_BYTES;
}

function seal(bytes: Uint8Array, key: BackupKey, number: number, isLast: boolean): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key.key, nonceOf(number));
  cipher.setAAD(associatedData(key, isLast));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE((bytes.length | (isLast ? LAST : 0)) >>> 0);
  return Buffer.concat([length, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

function open(sealed: Buffer, key: BackupKey, number: number): { readonly bytes: Buffer; readonly isLast: boolean } {
  const isLast = (sealed.readUInt32BE(0) & LAST) !== 0;
  const decipher = createDecipheriv("aes-256-gcm", key.key, nonceOf(number), { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(key, isLast));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const bytes = decipher.update(sealed.subarray(LENGTH_BYTES, -TAG_BYTES));
    return { bytes: Buffer.concat([bytes, decipher.final()]), isLast };
  } catch {
    throw new BrokenSealError(number === 0);
  }
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(number), 4);
  return nonce;
}

function associatedData({ line }: BackupKey, isLast: boolean): Buffer {
  return Buffer.from(`${line}${isLast ? "last" : "more"}`);
}

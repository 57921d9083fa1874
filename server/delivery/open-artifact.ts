/**
 * One artifact that is being sent. Its blocks come from its cache as soon as that is
 * ready, also in the middle of a delivery. Until then, or when the cache turns out to
 * be damaged, they are read from the artifact itself and compressed on their way.
 */
import type { FileHandle } from "node:fs/promises";
import { BlockEncoding } from "../../gen/rollcall/v1/agent_pb.js";
import { blockLength, bytesOf, splitRanges, type Range } from "../domain/block-layout.ts";
import { RefusedError } from "../domain/errors.ts";
import type { ArtifactFile, BlockMessage, OpenBlocks } from "../stream/ports.ts";
import type { ArtifactCache, ReadyCache } from "./artifact-cache.ts";
import { layOutBlockMessage, MESSAGE_OVERHEAD_BYTES } from "./block-message.ts";
import { isIntact, type StoredBlock } from "./cache-file.ts";
import { compressBlocks } from "./compress-block.ts";
import { readPieces, type Piece } from "./read-pieces.ts";

/** One read of the file. Large, since each costs a trip through the thread pool. */
const READ_BYTES = 1_048_576;

export class OpenArtifact implements OpenBlocks {
  readonly #artifact: ArtifactFile;
  readonly #file: FileHandle;
  readonly #cache: ArtifactCache;
  #cacheFile: { readonly file: FileHandle; readonly of: ReadyCache } | undefined;

  constructor(artifact: ArtifactFile, file: FileHandle, cache: ArtifactCache) {
    this.#artifact = artifact;
    this.#file = file;
    this.#cache = cache;
  }

  /**
   * The messages of all blocks in `ranges`, in order, one read's worth at a time.
   * The next read is under way while the one before is being sent.
   *
   * Two reads' worth of memory serve the whole call, since buffers that are left to
   * the garbage collector make it go over the whole heap every 32 MB or so. The
   * caller is done with the messages when it asks for the next ones.
   *
   * *Throws* RefusedError (release_invalid) when the artifact ends too early.
   */
  async *read(ranges: readonly Range[]): AsyncGenerator<readonly BlockMessage[], void, void> {
    const { blockSizeBytes } = this.#artifact;
    const wantedBytes = bytesOf(ranges, this.#artifact);
    const blocksARead = Math.max(1, Math.floor(Math.min(READ_BYTES, wantedBytes) / blockSizeBytes));
    const memoryBytes = blocksARead * (blockSizeBytes + MESSAGE_OVERHEAD_BYTES);
    let free = Buffer.allocUnsafeSlow(memoryBytes);
    let taken = Buffer.allocUnsafeSlow(memoryBytes);
    let ahead: Promise<readonly BlockMessage[]> | undefined;
    try {
      for (const indexes of splitRanges(ranges, blocksARead)) {
        const ready = await ahead;
        [free, taken] = [taken, free];
        ahead = this.#fill(indexes, this.#slots(taken));
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cacheFile?.file.close();
    await this.#file.close();
  }

  /** The memory of each message of one read. */
  #slots(memory: Buffer): (position: number) => Buffer {
    const slotBytes = this.#artifact.blockSizeBytes + MESSAGE_OVERHEAD_BYTES;
    return (position) => memory.subarray(position * slotBytes, (position + 1) * slotBytes);
  }

  async #fill(indexes: readonly number[], slotAt: (position: number) => Buffer): Promise<readonly BlockMessage[]> {
    const cached = await this.#readFromCache(indexes, slotAt);
    if (cached !== undefined) return cached;
    const plain = await this.#readFromArtifact(indexes, slotAt);
    this.#cache.countUncached(
      this.#artifact,
      plain.reduce((sum, { data }) => sum + data.length, 0),
    );
    return compressMessages(indexes, plain, slotAt);
  }

  async #readFromCache(
    indexes: readonly number[],
    slotAt: (position: number) => Buffer,
  ): Promise<readonly BlockMessage[] | undefined> {
    const cache = this.#cache.ready;
    const file = cache && (await this.#openCache(cache));
    if (cache === undefined || file === undefined) return undefined;
    const blocks = indexes.map((index) => cache.blocks[index] as StoredBlock);
    const messages = indexes.map((index, position) => {
      const { length } = blocks[position] as StoredBlock;
      const isPlain = length === blockLength(index, this.#artifact);
      return layOutBlockMessage(slotAt(position), index, isPlain ? BlockEncoding.IDENTITY : BlockEncoding.ZSTD, length);
    });
    try {
      await readPieces(
        file,
        messages.map(({ data }, position) => ({ offset: (blocks[position] as StoredBlock).offset, into: data })),
      );
      const damaged = messages.findIndex(({ data }, position) => !isIntact(data, blocks[position] as StoredBlock));
      if (damaged !== -1) throw new Error(`block ${indexes[damaged]} has another checksum than its index says`);
      return messages;
    } catch (error) {
      await this.#cache.distrust(this.#artifact, cache, error);
      return undefined;
    }
  }

  async #openCache(cache: ReadyCache): Promise<FileHandle | undefined> {
    if (this.#cacheFile?.of === cache) return this.#cacheFile.file;
    await this.#cacheFile?.file.close();
    this.#cacheFile = undefined;
    const file = await this.#cache.openFile(this.#artifact, cache);
    if (file !== undefined) this.#cacheFile = { file, of: cache };
    return file;
  }

  async #readFromArtifact(
    indexes: readonly number[],
    slotAt: (position: number) => Buffer,
  ): Promise<readonly BlockMessage[]> {
    const messages = indexes.map((index, position) =>
      layOutBlockMessage(slotAt(position), index, BlockEncoding.IDENTITY, blockLength(index, this.#artifact)),
    );
    const pieces: readonly Piece[] = messages.map(({ data }, position) => ({
      offset: (indexes[position] as number) * this.#artifact.blockSizeBytes,
      into: data,
    }));
    await readPieces(this.#file, pieces).catch((error: unknown) => {
      throw damagedArtifact(error);
    });
    return messages;
  }
}

async function compressMessages(
  indexes: readonly number[],
  plain: readonly BlockMessage[],
  slotAt: (position: number) => Buffer,
): Promise<readonly BlockMessage[]> {
  const compressed = await compressBlocks(plain.map(({ data }) => data));
  return plain.map((message, position) => {
    const bytes = compressed[position] as Buffer;
    if (bytes === message.data) return message;
    const index = indexes[position] as number;
    const smaller = layOutBlockMessage(slotAt(position), index, BlockEncoding.ZSTD, bytes.length);
    bytes.copy(smaller.data);
    return smaller;
  });
}

/** What an agent is told of a release whose file the server cannot read; another attempt would change nothing. */
export function damagedArtifact(cause: unknown): RefusedError {
  const error = new RefusedError(
    "release_invalid",
    "The release's file on the server is missing or damaged. Import the release again.",
  );
  error.cause = cause;
  return error;
}

/**
 * The new binary while it is put together. Blocks are written at their place, adjacent
 * ones by one call: each call costs the event loop a trip to the thread pool,
 * which for 64 KiB takes longer than to receive them. From the first failed write
 * on every call fails: a disk reports a lost page only once, and what it lost may
 * still be read back from memory, so a file that it failed is never left behind.
 *
 * A large file is made durable while it still grows, one fdatasync for every
 * 16 MiB, each after the one before it; the last fsync then has little left to
 * do (109 MB at 150 MB/s: 13 ms instead of 112 ms). How many writes and syncs there
 * are depends on the blocks alone, never on timing, so that faults can be injected
 * by number.
 *
 * Syncs go through a descriptor of their own, open for reading from before the first
 * write: the kernel runs no file that is open for writing, so the writing one must
 * be closed for the probe, and the disk need not have caught up by then.
 */
import type { FileHandle } from "node:fs/promises";
import { checkStagedFile } from "./check-stage.ts";
import { stageFailure } from "./disk-failure.ts";
import { removeIfPresent } from "./durable-file.ts";
import { digestFile } from "./file-digest.ts";
import type { SystemRules } from "./system-rules.ts";
import type { UpdateError } from "./update-error.ts";
import type { UpdatePaths } from "./update-paths.ts";
import type { Artifact, Stage } from "./update-platform.ts";

const SYNC_EVERY_BYTES = 16 * 1024 * 1024;
/** The least that is written at once, unless what comes next belongs elsewhere. */
const GATHERED_BYTES = 256 * 1024;

/** Adjacent blocks that are not written yet. */
interface Gathered {
  /** Where the first one begins in the file. */
  readonly position: number;
  readonly blocks: Uint8Array[];
  /** Of all blocks. */
  sizeBytes: number;
}

/** One file, opened twice. */
export interface StageHandles {
  readonly writer: FileHandle;
  readonly reader: FileHandle;
}

/** A stage in a file. It can be left or dropped at any time. */
export class StageFile implements Stage {
  readonly #paths: UpdatePaths;
  readonly #rules: SystemRules;
  readonly #artifact: Artifact;
  readonly #reader: FileHandle;
  readonly #present: number[] = [];
  #writer: FileHandle | undefined;
  #isClosed = false;
  #failure: UpdateError | undefined;
  readonly #underWay = new Set<Promise<void>>();
  #gathered: Gathered | undefined;
  #bytesSinceSync = 0;
  #lastSync: Promise<void> = Promise.resolve();

  constructor(paths: UpdatePaths, rules: SystemRules, artifact: Artifact, { writer, reader }: StageHandles) {
    this.#paths = paths;
    this.#rules = rules;
    this.#artifact = artifact;
    this.#writer = writer;
    this.#reader = reader;
  }

  get present(): readonly number[] {
    return this.#present;
  }

  /** Reads what stands in the file by now. */
  get reader(): FileHandle {
    return this.#reader;
  }

  get blockSizeBytes(): number {
    return this.#artifact.blockSizeBytes;
  }

  /** *Units*: bytes of a block. */
  sizeOf(blockIndex: number): number {
    const { sizeBytes, blockSizeBytes } = this.#artifact;
    return Math.min(blockSizeBytes, sizeBytes - blockIndex * blockSizeBytes);
  }

  async write(blockIndex: number, bytes: Uint8Array): Promise<void> {
    const position = blockIndex * this.#artifact.blockSizeBytes;
    if (!Number.isInteger(blockIndex) || blockIndex < 0 || bytes.length !== this.sizeOf(blockIndex)) {
      const { sizeBytes } = this.#artifact;
      throw new RangeError(`block ${blockIndex} of ${bytes.length} bytes is not one of the artifact's ${sizeBytes}`);
    }
    this.#openWriter();
    await Promise.all([this.#isAdjacent(position) ? undefined : this.#writeGathered(), this.#gather(position, bytes)]);
    this.#present.push(blockIndex);
  }

  /**
   * Takes blocks that stand in the file already for written and brings the file to
   * the artifact's size; one that has nothing of the artifact becomes empty.
   */
  async adopt(blockIndexes: readonly number[]): Promise<void> {
    await this.#writeGathered();
    this.#present.push(...blockIndexes);
    await this.#track(
      this.#attempt((writer) => writer.truncate(this.#present.length === 0 ? 0 : this.#artifact.sizeBytes)),
    );
    // Synced with what is written next: the server, which may be on the same disk, has to answer first.
    this.#bytesSinceSync += blockIndexes.reduce((sum, index) => sum + this.sizeOf(index), 0);
  }

  async complete(): Promise<void> {
    await this.#removeUnless(async () => {
      await this.#writeGathered();
      await Promise.allSettled(this.#underWay);
      await this.#track(this.#attempt((writer) => this.#finish(writer)));
      this.#sync(() => this.#reader.sync());
      checkStagedFile(this.#paths.staged, this.#rules.platform, this.#artifact, await digestFile(this.#paths.staged));
      if (!this.#rules.runsWhileOpen) await this.#endSync();
    });
  }

  async untilDurable(): Promise<void> {
    await this.#removeUnless(() => this.#endSync());
  }

  /** Writes what is gathered, waits for what is under way and closes the file. It stays, unless the disk failed it. */
  async leave(): Promise<void> {
    if (this.#writer !== undefined) await this.#writeGathered().catch(() => undefined);
    await this.#close();
    if (this.#failure !== undefined) await removeIfPresent(this.#paths.staged);
  }

  async #endSync(): Promise<void> {
    await this.#lastSync;
    if (this.#failure !== undefined) throw this.#failure;
    await this.#close();
  }

  #isAdjacent(position: number): boolean {
    return this.#gathered !== undefined && this.#gathered.position + this.#gathered.sizeBytes === position;
  }

  async #gather(position: number, bytes: Uint8Array): Promise<void> {
    this.#gathered ??= { position, blocks: [], sizeBytes: 0 };
    this.#gathered.blocks.push(bytes);
    this.#gathered.sizeBytes += bytes.length;
    if (this.#gathered.sizeBytes >= GATHERED_BYTES) await this.#writeGathered();
  }

  async #writeGathered(): Promise<void> {
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    this.#gathered = undefined;
    await this.#track(
      this.#attempt(async (writer) => {
        await writeFully(writer, Buffer.concat(gathered.blocks, gathered.sizeBytes), gathered.position);
        this.#syncInBackground(gathered.sizeBytes);
      }),
    );
  }

  /** The mode goes to the disk with the fsync that follows. */
  async #finish(writer: FileHandle): Promise<void> {
    await writer.chmod(0o755);
    this.#writer = undefined;
    await writer.close();
  }

  async #attempt(act: (writer: FileHandle) => Promise<void>): Promise<void> {
    const writer = this.#openWriter();
    try {
      await act(writer);
    } catch (error) {
      this.#failure ??= await this.#describe(error);
      throw this.#failure;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #openWriter(): FileHandle {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#writer === undefined) throw new Error(`${this.#paths.staged} is closed`);
    return this.#writer;
  }

  #syncInBackground(bytesWritten: number): void {
    this.#bytesSinceSync += bytesWritten;
    if (this.#bytesSinceSync < SYNC_EVERY_BYTES) return;
    this.#bytesSinceSync %= SYNC_EVERY_BYTES;
    this.#sync(() => this.#reader.datasync());
  }

  #sync(act: () => Promise<void>): void {
    this.#lastSync = this.#lastSync.then(act).catch(async (error: unknown) => {
      this.#failure ??= await this.#describe(error);
    });
  }

  /** Keeps the file open for as long as somebody uses it. */
  async #track(work: Promise<void>): Promise<void> {
    this.#underWay.add(work);
    try {
      await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #removeUnless(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      await this.#close().catch(() => undefined);
      await removeIfPresent(this.#paths.staged).catch(() => undefined);
      throw await this.#describe(error);
    }
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await this.#lastSync;
    if (this.#isClosed) return;
    this.#isClosed = true;
    const writer = this.#writer;
    this.#writer = undefined;
    await Promise.all([writer?.close(), this.#reader.close()]);
  }

  #describe(error: unknown): Promise<UpdateError> {
    return stageFailure(this.#paths.staged, this.#paths.folder, BigInt(this.#artifact.sizeBytes), error);
  }
}

/** write(2) may take less than it was given, as it does at a file size limit. */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Fetches the blocks that a stage lacks. Each is checked before it is written; none is written twice. */
import { hash } from "node:crypto";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { BlockEncoding, type FetchBlocksResponse } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { BlockPlan } from "./block-plan.ts";
import type { CheckedRelease } from "./check-release.ts";
import { fetchPersistently, type FetchContext } from "./fetch-release.ts";
import { oneLine } from "./one-line.ts";
import { UpdateError } from "./update-error.ts";
import type { Stage } from "./update-platform.ts";

const inflate = promisify(zstdDecompress);

/** A stage that opens while the blocks it will lack are on their way. */
export interface OpeningStage {
  readonly opening: Promise<Stage>;
  /** Blocks that it will have. `undefined` when only the open stage tells, which is waited for then. */
  readonly expected: readonly number[] | undefined;
}

/**
 * Fills a stage with every block of the release that it lacks, over as many streams as it takes.
 * The last block ends it: how the stream that brought it ends is the server's affair,
 * which writes down first what it sent, to a disk that may be busy with these very blocks.
 * `onBytesDone` is told of the bytes in place, those that were there before included.
 *
 * *Throws* UpdateError: download_failed, digest_mismatch, or what the stage says of the disk; the signal's reason.
 */
export async function fetchBlocks(
  jobId: string,
  release: CheckedRelease,
  { opening, expected }: OpeningStage,
  context: FetchContext,
  onBytesDone: (bytesDone: number) => void,
): Promise<void> {
  const { artifact, blockDigests } = release;
  const plan = new BlockPlan(blockDigests.length);
  const arriving = new Set<number>();
  /** Resolves when every block that came so far was handed to the stage, or was none. */
  let handedOver: Promise<void> = Promise.resolve();
  const complete = Promise.withResolvers<void>();
  let bytesDone = 0;
  for (const index of expected ?? (await opening).present) plan.markPresent(index);
  const opened = opening.then((stage) => {
    for (const index of expected ?? []) plan.markMissing(index);
    for (const index of stage.present) {
      plan.markPresent(index);
      bytesDone += blockSize(release, index);
    }
    if (bytesDone > 0) onBytesDone(bytesDone);
    return stage;
  });
  const unopened = new AbortController();
  opened.catch((error: unknown) => unopened.abort(error));
  if (plan.missingCount === 0) await opened;
  if (plan.missingCount === 0) return;
  context.signal.throwIfAborted();
  await fetchPersistently(context, async (delivery, advanced, signal) => {
    const take = async (block: FetchBlocksResponse): Promise<void> => {
      if (isWaitNotice(block)) return advanced();
      const { index } = block;
      if (!plan.isMissing(index) || arriving.has(index))
        throw downloadFailed(`the server sent block ${index}, which was not asked for`);
      arriving.add(index);
      // Blocks are inflated side by side and written in the order they came: which ones are written by one call is not left to chance.
      const earlier = handedOver;
      const own = Promise.withResolvers<void>();
      handedOver = own.promise;
      try {
        const bytes = await checkBlock(block, blockSize(release, index), blockDigests[index]);
        const stage = await opened;
        await earlier;
        const written = stage.write(index, bytes);
        own.resolve();
        await written;
        plan.markPresent(index);
        bytesDone += bytes.length;
        advanced();
        onBytesDone(bytesDone);
        if (plan.missingCount === 0) complete.resolve();
      } finally {
        own.resolve();
        arriving.delete(index);
      }
    };
    while (plan.missingCount > 0) {
      unopened.signal.throwIfAborted();
      const missingBefore = plan.missingCount;
      const stream = delivery.fetchBlocks(
        jobId,
        plan.missingRanges(),
        take,
        AbortSignal.any([signal, unopened.signal]),
      );
      await Promise.race([stream, complete.promise]).finally(() => unopened.signal.throwIfAborted());
      await opened;
      if (plan.missingCount === missingBefore) throw new Error("the server sent no block");
    }
  });
  if (bytesDone !== artifact.sizeBytes)
    throw downloadFailed(`${bytesDone} bytes came, ${artifact.sizeBytes} were announced`);
}

/** A message without a block: the server is busy, and this host waits for its turn. */
function isWaitNotice({ encoding, data }: FetchBlocksResponse): boolean {
  return encoding === BlockEncoding.UNSPECIFIED && data.length === 0;
}

function blockSize(release: CheckedRelease, index: number): number {
  const { sizeBytes, blockSizeBytes } = release.artifact;
  return Math.min(blockSizeBytes, sizeBytes - index * blockSizeBytes);
}

async function checkBlock(
  block: FetchBlocksResponse,
  sizeBytes: number,
  digest: Buffer | undefined,
): Promise<Uint8Array> {
  const bytes = await decode(block, sizeBytes);
  const actual = hash("sha256", bytes, "buffer");
  if (digest === undefined || bytes.length !== sizeBytes || !actual.equals(digest)) {
    throw new UpdateError(JobReason.DIGEST_MISMATCH, {
      expectedSha256: digest?.toString("hex"),
      actualSha256: actual.toString("hex"),
      detail: `block ${block.index} was damaged on its way or on the server`,
    });
  }
  return bytes;
}

async function decode(block: FetchBlocksResponse, sizeBytes: number): Promise<Uint8Array> {
  if (block.encoding === BlockEncoding.IDENTITY) return block.data;
  if (block.encoding !== BlockEncoding.ZSTD)
    throw downloadFailed(`block ${block.index} came in an unknown encoding (${block.encoding})`);
  try {
    return await inflate(block.data, { maxOutputLength: sizeBytes });
  } catch (error) {
    throw new UpdateError(
      JobReason.DIGEST_MISMATCH,
      { detail: oneLine(`block ${block.index} cannot be decompressed (${(error as Error).message})`, 500) },
      error,
    );
  }
}

function downloadFailed(sentence: string): UpdateError {
  return new UpdateError(JobReason.DOWNLOAD_FAILED, { detail: sentence });
}

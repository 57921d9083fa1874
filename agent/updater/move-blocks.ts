import { hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { BlockDigest } from "./block-digests.ts";
import type { BlockMove } from "./reuse-plan.ts";
import type { StageFile } from "./stage-file.ts";
import { systemErrorCode } from "./system-error.ts";

/** The most that is read at once. */
const RUN_BYTES = 1024 * 1024;

/**
 * Copies blocks of a file into a stage, each only if it still is what `wanted` says.
 * What cannot be read or is something else by now is left out.
 *
 * *Throws* UpdateError when the stage cannot be written.
 */
export async function moveBlocks(
  file: FileHandle,
  stage: StageFile,
  moves: readonly BlockMove[],
  wanted: readonly BlockDigest[],
): Promise<void> {
  const { blockSizeBytes } = stage;
  for (const { from, to, count } of joinMoves(moves, Math.max(1, Math.floor(RUN_BYTES / blockSizeBytes)))) {
    const sizeBytes = (count - 1) * blockSizeBytes + stage.sizeOf(to + count - 1);
    const bytes = await tryRead(file, from * blockSizeBytes, sizeBytes);
    for (let offset = 0; offset < count; offset += 1) {
      const block = bytes.subarray(offset * blockSizeBytes, (offset + 1) * blockSizeBytes);
      if (hash("sha256", block, "hex") === wanted[to + offset]) await stage.write(to + offset, block);
    }
  }
}

/** Moves of neighbours to neighbours, at most `greatestCount` in one. */
function* joinMoves(
  moves: readonly BlockMove[],
  greatestCount: number,
): Generator<BlockMove & { readonly count: number }> {
  for (let index = 0; index < moves.length; ) {
    const first = moves[index];
    if (first === undefined) return;
    let count = 1;
    while (count < greatestCount && isNext(first, count, moves[index + count])) count += 1;
    yield { ...first, count };
    index += count;
  }
}

function isNext(first: BlockMove, count: number, move: BlockMove | undefined): boolean {
  return move?.from === first.from + count && move.to === first.to + count;
}

/** *Shape*: as much of it as there is. */
async function tryRead(file: FileHandle, position: number, sizeBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(sizeBytes);
  try {
    const { bytesRead } = await file.read(buffer, 0, sizeBytes, position);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return buffer.subarray(0, 0);
  }
}

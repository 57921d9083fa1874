import type { FileHandle } from "node:fs/promises";

/** Bytes of a file, and the memory that they are read into. */
export interface Piece {
  readonly offset: number;
  readonly into: Buffer;
}

/**
 * Fills every piece. Pieces that follow one another in the file are read at once.
 *
 * *Throws* Error when the file ends before a piece does.
 */
export async function readPieces(file: FileHandle, pieces: readonly Piece[]): Promise<void> {
  await Promise.all(groupAdjacent(pieces).map((group) => readAdjacent(file, group)));
}

/** Fills `memory` from `offset` on. *Throws* Error when the file ends before. */
export function readWhole(file: FileHandle, memory: Buffer, offset: number): Promise<void> {
  return readAdjacent(file, [{ offset, into: memory }]);
}

function groupAdjacent(pieces: readonly Piece[]): readonly (readonly Piece[])[] {
  const groups: Piece[][] = [];
  let endOffset = Number.NaN;
  for (const piece of pieces) {
    if (piece.offset === endOffset) groups.at(-1)?.push(piece);
    else groups.push([piece]);
    endOffset = piece.offset + piece.into.length;
  }
  return groups;
}

async function readAdjacent(file: FileHandle, pieces: readonly Piece[]): Promise<void> {
  const wanted = pieces.reduce((sum, piece) => sum + piece.into.length, 0);
  const { bytesRead } = await file.readv(
    pieces.map((piece) => piece.into),
    pieces[0]?.offset ?? 0,
  );
  if (bytesRead !== wanted) throw new Error(`the file ends ${wanted - bytesRead} bytes too early`);
}

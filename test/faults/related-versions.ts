/** Programs of which each shares some blocks with the one before it, and what a host that has some of them lacks of another. */
import { open, readFile } from "node:fs/promises";
import { blocksOf, BLOCK_BYTES, sha256 } from "../agent/updater/update-fixture.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

const SIZE_BYTES = 400_000;
/** Two blocks of a version stand in the next one: the first at its place, the second at another. */
const SHARED = [
  { from: 1, to: 1 },
  { from: 2, to: 4 },
] as const;

/** A program that prints `version`, alike to its predecessor in two of seven blocks. */
export function buildSuccessor(version: string, predecessor: Buffer | undefined): Buffer {
  const bytes = buildVersionElf(version, SIZE_BYTES);
  for (const { from, to } of SHARED) {
    predecessor?.copy(bytes, to * BLOCK_BYTES, from * BLOCK_BYTES, (from + 1) * BLOCK_BYTES);
  }
  return bytes;
}

/** Indexes of the blocks of `wanted` that stand in none of these files, as whole blocks at any index. */
export async function listMissing(wanted: Buffer, paths: readonly string[]): Promise<readonly number[]> {
  const files = await Promise.all(paths.map((path) => readFile(path).catch(() => Buffer.alloc(0))));
  const present = new Set(files.flatMap((bytes) => blocksOf(bytes).map(sha256)));
  return [...blocksOf(wanted).entries()].filter(([, block]) => !present.has(sha256(block))).map(([index]) => index);
}

/** Changes a byte of one block of a file, and makes it longer. Nothing happens where there is no such file. */
export async function damageFile(path: string, blockIndex: number): Promise<void> {
  await using file = await open(path, "r+").catch(() => undefined);
  if (file === undefined) return;
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, blockIndex * BLOCK_BYTES);
  byte.writeUInt8((byte.readUInt8() + 1) % 256);
  await file.write(byte, 0, 1, blockIndex * BLOCK_BYTES);
  const { size } = await file.stat();
  await file.write(Buffer.from("left"), 0, 4, size);
}

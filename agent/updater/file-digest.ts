import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { PROGRAM_HEAD_BYTES } from "./program-header.ts";
import { readChunks } from "./read-chunks.ts";

const CHUNK_BYTES = 1024 * 1024;

/** What a file holds. */
export interface FileDigest {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Its first PROGRAM_HEAD_BYTES, or all of a shorter one. */
  readonly head: Uint8Array;
}

/** Reads a whole file once. Does not follow a symbolic link. */
export async function digestFile(path: string): Promise<FileDigest> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  return await digestOpenFile(file);
}

/** Reads a whole open file once. It stays open. */
export async function digestOpenFile(file: FileHandle): Promise<FileDigest> {
  const hash = createHash("sha256");
  let head: Uint8Array = new Uint8Array();
  let sizeBytes = 0;
  for await (const chunk of readChunks(file, CHUNK_BYTES)) {
    if (sizeBytes === 0) head = Uint8Array.from(chunk.subarray(0, PROGRAM_HEAD_BYTES));
    sizeBytes += chunk.length;
    hash.update(chunk);
  }
  return { sizeBytes, sha256: hash.digest("hex"), head };
}

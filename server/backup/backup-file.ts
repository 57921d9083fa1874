/** A backup as a file: its first line, then its records, compressed and sealed. */
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import type { Random } from "../domain/clock.ts";
import { BackupError } from "./backup-error.ts";
import { LONGEST_LINE, makeBackupKey, readBackupKey, type BackupKey } from "./backup-key.ts";
import { decodeRecord, encodeRecord, type BackupRecord } from "./backup-records.ts";
import { BrokenSealError, openChunks, sealChunks } from "./sealed-chunks.ts";

/** Where a backup is, and what opens it. */
export interface BackupPlace {
  readonly path: string;
  readonly passphrase: string | undefined;
}

const NEWLINE = 0x0a;
/** Rows are handed on when they have so many characters together, or are so many. */
const GATHERED_CHARACTERS = 4 * 1024 * 1024;
const GATHERED_ROWS = 500;

/**
 * Writes a backup under another name, and gives it its own once it is whole, on the disk and was `checked`.
 *
 * *Throws* BackupError when the file is there already; then, and when anything fails, nothing is left of it.
 */
export async function writeBackup(
  { path, passphrase }: BackupPlace,
  records: AsyncIterable<BackupRecord>,
  options: {
    readonly random: Random;
    readonly signal: AbortSignal;
    readonly check: (place: BackupPlace) => Promise<void>;
  },
): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined)
    throw new BackupError(`${path} is there already. Nothing was written. Name another file.`);
  const key = await makeBackupKey(passphrase, options.random);
  const unfinished = `${path}.unfinished`;
  await rm(unfinished, { force: true });
  try {
    const file = await open(unfinished, "wx", 0o600);
    await pipeline(
      Readable.from(encode(records)),
      createZstdCompress(),
      (source: AsyncIterable<Uint8Array>) => afterLine(key, sealChunks(source, key)),
      file.createWriteStream({ flush: true }),
      { signal: options.signal },
    );
    await options.check({ path: unfinished, passphrase });
    await rename(unfinished, path);
    await using folder = await open(dirname(path), "r");
    await folder.sync();
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function* encode(records: AsyncIterable<BackupRecord>): AsyncGenerator<Buffer> {
  for await (const record of records) yield Buffer.from(encodeRecord(record));
}

async function* afterLine(key: BackupKey, sealed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(key.line);
  yield* sealed;
}

/**
 * Reads a backup from its beginning to its end.
 *
 * *Throws* BackupError, at the latest at the end, for one that is damaged, was cut, or is opened by another passphrase.
 */
export async function* readBackup({ path, passphrase }: BackupPlace): AsyncGenerator<BackupRecord> {
  const line = await readFirstLine(path);
  const key = await readBackupKey(path, line, passphrase);
  const source = createReadStream(path, { start: Buffer.byteLength(line) });
  const opened = Readable.from(openChunks(source, key));
  const inflated = createZstdDecompress();
  // Its failure is the reader's, who hears of it at the next piece.
  const done = pipeline(opened, inflated).catch((error: unknown) => inflated.destroy(error as Error));
  let hasEnd = false;
  try {
    for await (const record of gatherRecords(inflated)) {
      if (record.kind === "end") hasEnd = true;
      yield record;
    }
    await done;
  } catch (error) {
    throw toSentence(path, passphrase, error);
  } finally {
    opened.destroy();
    source.destroy();
  }
  if (!hasEnd) throw damaged(path);
}

async function readFirstLine(path: string): Promise<string> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw new BackupError(`${path} cannot be read: ${error.message}. Nothing was changed.`, error);
  });
  await using _closed = file;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST_LINE), 0, LONGEST_LINE, 0);
  return buffer.toString("latin1", 0, buffer.subarray(0, bytesRead).indexOf(NEWLINE) + 1);
}

async function* gatherRecords(source: AsyncIterable<Buffer>): AsyncGenerator<BackupRecord> {
  let rows: string[] = [];
  let characters = 0;
  for await (const text of splitLines(source)) {
    const isRow = text.startsWith("{");
    if (isRow) {
      rows.push(text);
      characters += text.length;
    }
    if (rows.length > 0 && (!isRow || rows.length >= GATHERED_ROWS || characters >= GATHERED_CHARACTERS)) {
      yield { kind: "rows", rows };
      rows = [];
      characters = 0;
    }
    if (!isRow) yield decodeRecord(text);
  }
}

/** Lines as PostgreSQL writes them: other characters that end lines elsewhere may stand in a text. */
async function* splitLines(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  for await (const piece of source) {
    let from = 0;
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...begun, piece.subarray(from, end)]).toString("utf8");
      begun = [];
      from = end + 1;
    }
    if (from < piece.length) begun.push(piece.subarray(from));
  }
}

function toSentence(path: string, passphrase: string | undefined, error: unknown): unknown {
  if (error instanceof BrokenSealError && error.isFirst && passphrase !== undefined)
    return new BackupError(
      `${path} does not open: its passphrase is another, or its beginning is damaged. Nothing was changed.`,
      error,
    );
  const isDamage = error instanceof BrokenSealError || error instanceof SyntaxError || isInflateError(error);
  return isDamage ? damaged(path, error) : error;
}

function isInflateError(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith("ZSTD_error");
}

function damaged(path: string, cause?: unknown): BackupError {
  return new BackupError(`${path} is damaged, or was cut short. Nothing was changed. Use another backup.`, cause);
}

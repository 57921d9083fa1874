/**
 * What a new version says until it is confirmed, kept on the disk where the version before finds it.
 *
 * The new version writes it, line by line and at once, so that what it said last is there when it crashes or hangs. The
 * guard adds how it ended, which is all there is of a version that cannot even be started. It is two files: a full one
 * becomes the older one, so a version that talks without end fills no disk. An update begins without them, a confirmed
 * version deletes them, and one that was restored tells them with the outcome.
 */
import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { maskSecrets } from "../mask-secrets.ts";
import { readShortFile, removeIfPresent } from "./durable-file.ts";
import { readJournal } from "./journal.ts";
import type { UpdatePaths } from "./update-paths.ts";

/** *Units*: bytes. One file of the two. */
const MAX_FILE_BYTES = 64 * 1024;
/** *Units*: bytes. The guard adds its lines to a file that may be full. */
const MAX_READ_BYTES = 2 * MAX_FILE_BYTES;
const MAX_TOLD_LINES = 200;
/** *Units*: bytes. What a Hello may carry. */
const MAX_TOLD_BYTES = 64 * 1024;
const MAX_LINE_CHARACTERS = 1_000;

/** Where a version that is not confirmed yet leaves what it says. Nothing that the disk refuses keeps it from its work. */
export interface JobLog extends Disposable {
  write(text: string): void;
  /** It is confirmed: deletes what was kept, and keeps no more. */
  forget(): Promise<void>;
}

/** A log that is kept only while the journal says that this version is not confirmed yet. */
export async function openJobLog(paths: UpdatePaths, ownVersion: string): Promise<JobLog> {
  const journal = await readJournal(paths).catch(() => undefined);
  return new JobLogFile(journal?.state === "unconfirmed" && journal.toVersion === ownVersion ? paths : undefined);
}

class JobLogFile implements JobLog {
  #paths: UpdatePaths | undefined;
  #file: number | undefined;
  #sizeBytes = 0;

  constructor(paths: UpdatePaths | undefined) {
    this.#paths = paths;
  }

  write(text: string): void {
    if (this.#paths === undefined) return;
    try {
      const bytes = Buffer.from(text.slice(0, MAX_FILE_BYTES / 4));
      if (this.#file !== undefined && this.#sizeBytes + bytes.length > MAX_FILE_BYTES) {
        this.#close();
        renameSync(this.#paths.jobLog, this.#paths.jobLogBefore);
      }
      this.#file ??= this.#open(this.#paths.jobLog);
      this.#sizeBytes += writeSync(this.#file, bytes);
    } catch {
      this[Symbol.dispose]();
    }
  }

  async forget(): Promise<void> {
    const paths = this.#paths;
    this[Symbol.dispose]();
    if (paths !== undefined) await removeJobLog(paths).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#paths = undefined;
    this.#close();
  }

  #open(path: string): number {
    const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    const file = openSync(path, O_WRONLY | O_CREAT | O_APPEND | (O_NOFOLLOW ?? 0), 0o600);
    this.#sizeBytes = fstatSync(file).size;
    return file;
  }

  #close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file);
  }
}

/** Adds what the guard saw of the version that it watches. */
export async function noteInJobLog(paths: UpdatePaths, sentence: string): Promise<void> {
  await appendFile(paths.jobLog, `rollcall-agent-guard: ${sentence}\n`, { mode: 0o600 }).catch(() => undefined);
}

/** Deletes what was kept of an earlier update. */
export async function removeJobLog(paths: UpdatePaths): Promise<void> {
  for (const path of [paths.jobLog, paths.jobLogBefore]) await removeIfPresent(path);
}

/**
 * The last lines that a version which was rolled back left, without secrets.
 *
 * *Shape*: UTF-8, at most 200 lines and 64 KiB; empty when it left none.
 */
export async function readJobLog(paths: UpdatePaths): Promise<Buffer> {
  const texts: string[] = [];
  for (const path of [paths.jobLogBefore, paths.jobLog])
    texts.push((await readShortFile(path, MAX_READ_BYTES).catch(() => undefined)) ?? "");
  const lines = maskSecrets(texts.join(""))
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-MAX_TOLD_LINES)
    .map((line) => Buffer.from(`${line.slice(0, MAX_LINE_CHARACTERS).toWellFormed()}\n`));
  let total = lines.reduce((sum, line) => sum + line.length, 0);
  while (total > MAX_TOLD_BYTES) total -= lines.shift()?.length ?? 0;
  return Buffer.concat(lines);
}

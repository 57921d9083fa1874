import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../domain/clock.ts";
import { isSystemError } from "./file-status.ts";

const KEPT_FILES = 5;
const EVERY_MS = 60_000;

/**
 * Keeps PostgreSQL's log small: it begins a new file every 4 MB and never deletes
 * one, so the oldest are deleted here, at once and then every minute.
 */
export function boundLog(folder: string, clock: Clock): Disposable {
  let timer: Disposable | undefined;
  let isDisposed = false;
  const prune = async (): Promise<void> => {
    // A log that can't be tidied now can be a minute later; nothing depends on it.
    await pruneLog(folder).catch(() => undefined);
    if (!isDisposed) timer = clock.schedule(EVERY_MS, () => void prune());
  };
  void prune();
  return {
    [Symbol.dispose]() {
      isDisposed = true;
      timer?.[Symbol.dispose]();
    },
  };
}

/** Deletes all but the newest files of PostgreSQL's log. Their names sort by age. */
export async function pruneLog(folder: string): Promise<void> {
  try {
    const names = (await readdir(folder)).filter((name) => name.startsWith("postgres-")).sort();
    for (const name of names.slice(0, -KEPT_FILES)) await rm(join(folder, name), { force: true });
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
  }
}

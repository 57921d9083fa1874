/**
 * The data directory that a backup is restored into. `restoring` stands in it from the
 * first change to the end: a server refuses to start beside it, and another restore takes
 * what it finds for the remains of one that was killed.
 */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { writeDurably } from "../stream/write-durably.ts";
import { BackupError } from "./backup-error.ts";

const MARK = "restoring";

/**
 * Makes the data directory of a server that starts, unless it is there.
 *
 * *Throws* BackupError when a restore into it was begun and not finished.
 */
export async function prepareDataFolder(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if (!(await exists(join(dataDir, MARK)))) return;
  throw new BackupError(
    `A backup is being restored into ${dataDir}, or its restore was cut short. No server was started. ` +
      "Run the restore again: it begins anew.",
  );
}

/** *Throws* BackupError unless nothing of a server is in this data directory. Remains of a killed restore are nothing. */
export async function requireEmpty(dataDir: string, releasesDir: string): Promise<void> {
  const names = (await exists(dataDir)) ? await readdir(dataDir) : [];
  if (names.includes(MARK)) return;
  const [releases = ""] = relative(dataDir, releasesDir).split(sep);
  const others = names.filter((name) => name !== "lost+found" && name !== releases);
  if (others.length === 0) return;
  throw new BackupError(
    `${dataDir} is not empty: it holds ${others.slice(0, 5).join(", ")}${others.length > 5 ? ", …" : ""}. ` +
      "Nothing was changed. Restore into a directory that holds nothing: name another by ROLLCALL_DATA_DIR.",
  );
}

/** Marks a data directory as one that is being restored; made when missing. */
export async function beginRestore(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await writeDurably(join(dataDir, MARK), "", 0o600);
}

/** Takes the mark away: a server may start. */
export async function finishRestore(dataDir: string): Promise<void> {
  await rm(join(dataDir, MARK));
}

/** Takes away all that a restore put into a data directory; the mark last, so that a kill in between leaves it marked. */
export async function undoRestore(dataDir: string, releasesDir: string): Promise<void> {
  const [releases = ""] = relative(dataDir, releasesDir).split(sep);
  const names = (await readdir(dataDir)).filter((name) => ![MARK, "lost+found", releases].includes(name));
  for (const name of names) await rm(join(dataDir, name), { recursive: true });
  await finishRestore(dataDir);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

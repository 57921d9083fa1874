import { digestFile } from "../updater/file-digest.ts";
import { readJournal, type Journal } from "../updater/journal.ts";
import { hasErrorCode } from "../updater/system-error.ts";
import type { UpdatePaths } from "../updater/update-paths.ts";

/** The journal of an update that nobody has ended yet. *Shape*: `undefined` when there is none. */
export async function readUnconfirmed(paths: UpdatePaths): Promise<Journal | undefined> {
  const journal = await readJournal(paths);
  return journal?.state === "unconfirmed" && journal.fromSha256 !== journal.toSha256 ? journal : undefined;
}

/** Whether the new version stands at the path and the version before beside it: only then is there something to put back. */
export async function canPutBack(paths: UpdatePaths, journal: Journal): Promise<boolean> {
  const [binary, old] = [await readSha256(paths.binary), await readSha256(paths.old)];
  return binary === journal.toSha256 && old === journal.fromSha256;
}

/** *Shape*: `undefined` when there is no such file. */
export async function readSha256(path: string): Promise<string | undefined> {
  try {
    return (await digestFile(path)).sha256;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

import { BackupError } from "./backup-error.ts";
import { readBackup, type BackupPlace } from "./backup-file.ts";
import type { BackupManifest } from "./backup-records.ts";

/** What stands in a backup that is whole. */
export interface CheckedBackup {
  readonly manifest: BackupManifest;
  readonly rows: number;
  readonly files: number;
}

/** Reads all of a backup and changes nothing. *Throws* BackupError unless it is whole. */
export async function checkBackup(place: BackupPlace): Promise<CheckedBackup> {
  let manifest: BackupManifest | undefined;
  let rows = 0;
  let files = 0;
  for await (const record of readBackup(place)) {
    if (record.kind === "manifest") manifest = record.manifest;
    if (record.kind === "file") files += 1;
    if (record.kind === "rows") rows += record.rows.length;
    if (record.kind === "end" && record.end.rows !== rows)
      throw new BackupError(`${place.path} lacks rows. Nothing was changed. Use another backup.`);
  }
  if (manifest === undefined) throw new BackupError(`${place.path} does not say what it is. Nothing was changed.`);
  return { manifest, rows, files };
}

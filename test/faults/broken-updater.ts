/**
 * Updaters with one mistake each. A campaign that does not catch them proves
 * nothing about the right one.
 */
import { copyFile, link, open, rename, writeFile } from "node:fs/promises";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { removeIfPresent, syncFolder } from "../../agent/updater/durable-file.ts";
import { writeJournal, type Journal } from "../../agent/updater/journal.ts";
import { swapBinary } from "../../agent/updater/swap.ts";
import { updatePaths, type UpdatePaths } from "../../agent/updater/update-paths.ts";
import type { Flaw, HarnessOrder } from "./harness-order.ts";

/** Updates as `order` says, with this mistake. */
export async function updateBadly(flaw: Flaw, order: HarnessOrder, bytes: Uint8Array): Promise<void> {
  const paths = updatePaths(order.binaryPath, order.stateDir);
  const entry = await createEntry(paths, order);
  switch (flaw) {
    case "moves the binary away first":
      await stage(paths, bytes, true);
      await writeJournal(paths, entry);
      await rename(paths.binary, paths.old);
      await rename(paths.staged, paths.binary);
      return syncFolder(paths.folder);
    case "writes in place":
      await copyFile(paths.binary, paths.old);
      await writeJournal(paths, entry);
      return writeFile(paths.binary, bytes);
    case "journals last":
      await stage(paths, bytes, true);
      await keepPredecessor(paths);
      await rename(paths.staged, paths.binary);
      await syncFolder(paths.folder);
      return writeJournal(paths, entry);
    case "keeps no predecessor":
      await stage(paths, bytes, true);
      await writeJournal(paths, entry);
      await rename(paths.staged, paths.binary);
      return syncFolder(paths.folder);
    case "skips the fsync of the new binary":
      await stage(paths, bytes, false);
      return swapBinary(paths, entry, { replaceBinary: () => rename(paths.staged, paths.binary) }, () => true);
  }
}

async function createEntry(paths: UpdatePaths, { jobId, artifact, ownVersion }: HarnessOrder): Promise<Journal> {
  const { sha256: fromSha256 } = await digestFile(paths.binary);
  const versions = { fromSha256, toSha256: artifact.sha256, fromVersion: ownVersion, toVersion: artifact.version };
  return { state: "unconfirmed", jobId, ...versions, sequence: 2, bootId: "boot", uptimeMs: 1, reason: "none" };
}

async function stage(paths: UpdatePaths, bytes: Uint8Array, isSynced: boolean): Promise<void> {
  await using file = await open(paths.staged, "w", 0o755);
  await file.write(bytes, 0, bytes.length, 0);
  if (isSynced) await file.sync();
}

async function keepPredecessor(paths: UpdatePaths): Promise<void> {
  await removeIfPresent(paths.oldTemporary);
  await link(paths.binary, paths.oldTemporary);
  await rename(paths.oldTemporary, paths.old);
}

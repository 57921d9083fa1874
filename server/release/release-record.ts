/**
 * Stores a release that was checked, with its key set and its audit events, in one
 * transaction that checks the documents again: what is known may have changed since.
 * Its files are placed as the last step of it, and taken back when it fails.
 */
import { parsePublicKey, type PublicKey } from "../../gen/minisign.ts";
import { RefusedError, UnavailableError } from "../domain/errors.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import {
  checkDocuments,
  findTrusted,
  type CheckedDocuments,
  type ReleaseDocuments,
  type TrustedKeySet,
} from "./check-documents.ts";
import type { CheckedArtifact, CheckedRelease } from "../domain/release.ts";
import { nameRelease, toCheckedRelease } from "./checked-release.ts";
import { findConflict, isKnown, type NamedRelease, type Namesakes } from "./find-conflict.ts";
import type { Log, ReleaseStore, ReleaseTransaction } from "./ports.ts";
import type { PendingChange } from "./release-folders.ts";

/** Who brings a release, and how. */
export interface Origin {
  readonly actor: string;
  readonly cause: string;
}

/** What recording works with. */
export interface RecordParts {
  readonly store: ReleaseStore;
  readonly log: Log;
}

/** A release about to be stored. */
export interface ReleaseRecord {
  readonly documents: ReleaseDocuments;
  readonly artifacts: readonly CheckedArtifact[];
  readonly origin: Origin;
  /** Puts its files where they belong. */
  readonly place: (isAlreadyKnown: boolean) => Promise<PendingChange>;
}

/** Stores a release. *Throws* RefusedError (release_invalid, release_known); then nothing was changed. */
export async function recordRelease(
  { store, log }: RecordParts,
  roots: readonly PublicKey[],
  { documents, artifacts, origin, place }: ReleaseRecord,
): Promise<void> {
  const placed: PendingChange[] = [];
  const commit = () =>
    store.transaction(async (tx) => {
      await tx.lockReleases();
      const checked = checkDocuments(documents, roots, await tx.findKeySet(AGENT_PACKAGE));
      const { version, sequence } = checked.manifest;
      const namesakes = await tx.findNamesakes(AGENT_PACKAGE, version, Number(sequence));
      const named = refuseConflict(checked, namesakes);
      const release = toCheckedRelease(checked, artifacts);
      if (checked.isNewKeySet) await saveKeySet(tx, checked.keySet, origin);
      const isAlreadyKnown = isKnown(named, namesakes);
      const isChanged = await saveRelease(tx, release, isAlreadyKnown, origin);
      placed.push(await place(isAlreadyKnown));
      return { release, isChanged, newKeySet: checked.isNewKeySet ? checked.keySet : undefined };
    });
  const stored = await commit().catch(async (error: unknown) => {
    // An outcome that is not known leaves the files: they are whole, and what the database holds needs them.
    for (const change of placed) await (error instanceof UnavailableError ? change.finish() : change.undo());
    throw error;
  });
  for (const change of placed) await change.finish();
  if (stored.isChanged) tellImported(log, stored.release);
  if (stored.newKeySet !== undefined) await tellRevoked({ store, log }, stored.newKeySet);
}

/** Stores a key set by itself, unless one is known that is as new. */
export async function recordKeySet(
  { store, log }: RecordParts,
  roots: readonly PublicKey[],
  keySet: TrustedKeySet,
  origin: Origin,
): Promise<void> {
  const isNewer = await store.transaction(async (tx) => {
    await tx.lockReleases();
    const stored = await tx.findKeySet(AGENT_PACKAGE);
    const known = stored && findTrusted(stored, roots);
    if (known !== undefined && known.keySet.sequence >= keySet.keySet.sequence) return false;
    await saveKeySet(tx, keySet, origin);
    return true;
  });
  if (isNewer) await tellRevoked({ store, log }, keySet);
}

/** *Throws* RefusedError (release_known). */
export function refuseConflict(checked: CheckedDocuments, namesakes: Namesakes): NamedRelease {
  const named = nameRelease(checked.manifest, checked.manifestSha256);
  const conflict = findConflict(named, namesakes);
  if (conflict !== undefined) throw knownRelease(named.version, conflict);
  return named;
}

/** A release whose version or sequence means something else already. `sentence` has no full stop. */
export function knownRelease(version: string, sentence: string): RefusedError {
  return new RefusedError("release_known", `${sentence}. Nothing was changed.`, { version });
}

function tellImported(log: Log, { version, keyId, keyLabel, isDevelopment, artifacts }: CheckedRelease): void {
  const platforms = artifacts.map(({ platform }) => platform);
  log("info", "release imported", { version, platforms, key_id: keyId, key_label: keyLabel });
  if (isDevelopment) log("warn", "release signed with development keys", { version });
}

/** Says which releases hosts refuse from now on: signed again by another key, they count again. */
async function tellRevoked({ store, log }: RecordParts, { keySet }: TrustedKeySet): Promise<void> {
  const revokedIds = new Set(keySet.revokedKeys.flatMap(findKeyId));
  const releases = await store.listReleases(AGENT_PACKAGE);
  const revoked = releases.filter(({ keyId }) => revokedIds.has(keyId)).map(({ version }) => version);
  if (revoked.length > 0) log("warn", "releases are signed by a revoked key: hosts refuse them", { versions: revoked });
}

/** *Shape*: empty for text that is no key. */
function findKeyId(text: string): readonly string[] {
  try {
    return [parsePublicKey(text).keyId];
  } catch {
    return [];
  }
}

async function saveKeySet(tx: ReleaseTransaction, keySet: TrustedKeySet, origin: Origin): Promise<void> {
  await tx.saveKeySet(AGENT_PACKAGE, keySet);
  const { sequence, signingKeys, revokedKeys, development } = keySet.keySet;
  await tx.writeAuditEvent({
    ...origin,
    action: "release.keys_changed",
    details: {
      package: AGENT_PACKAGE,
      sequence: Number(sequence),
      signing_keys: signingKeys.map(({ publicKey, label }) => ({ public_key: publicKey, label })),
      revoked_keys: revokedKeys.length,
      development,
    },
  });
}

/** True when that changed anything. */
async function saveRelease(
  tx: ReleaseTransaction,
  release: CheckedRelease,
  isAlreadyKnown: boolean,
  origin: Origin,
): Promise<boolean> {
  if (!isAlreadyKnown) await tx.insertRelease(release);
  else if (!(await tx.replaceSignature(release))) return false;
  await tx.writeAuditEvent({
    actor: origin.actor,
    action: "release.imported",
    cause: isAlreadyKnown ? `${origin.cause}; another signature of a known release` : origin.cause,
    details: {
      package: release.package,
      version: release.version,
      sequence: release.sequence,
      key_id: release.keyId,
      development: release.isDevelopment,
    },
  });
  return true;
}

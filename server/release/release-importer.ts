/**
 * Takes releases in: those that stand in the releases folder at start, and those that
 * are uploaded. One check for both: the key set by a root key, the manifest by a key
 * of the newest key set, what the version and the sequence meant before, and then
 * every artifact by size, sha256 and block list. What fails changes nothing.
 *
 * An upload is written beside the releases and renamed into place as the last step of
 * the transaction that stores it.
 */
import type { PublicKey } from "../../gen/minisign.ts";
import type { ImportReleaseRequest } from "../../gen/rollcall/v1/catalog_pb.js";
import { RefusedError } from "../domain/errors.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import { checkDocuments, findTrusted, type CheckedDocuments, type TrustedKeySet } from "./check-documents.ts";
import { invalidRelease } from "./invalid-release.ts";
import type { Log, ReleaseStore } from "./ports.ts";
import { checkArtifacts, readDocuments } from "./read-release.ts";
import { Upload } from "./receive-release.ts";
import { diskFull, writeDocuments, type PendingChange, type ReleaseFolders } from "./release-folders.ts";
import { knownRelease, recordKeySet, recordRelease, refuseConflict, type Origin } from "./release-record.ts";
import { readRootKeys } from "./root-keys.ts";

/** What the importer works with. */
export interface ReleaseImporterParts {
  readonly store: ReleaseStore;
  readonly folders: ReleaseFolders;
  readonly rootKeysPath: string;
  readonly log: Log;
}

const FROM_FOLDER: Origin = { actor: "rollcall", cause: "it stands in the releases folder" };
const NOTHING_PLACED: PendingChange = { finish: async () => undefined, undo: async () => undefined };

export class ReleaseImporter {
  readonly #parts: ReleaseImporterParts;
  readonly #uploading = new Set<string>();

  constructor(parts: ReleaseImporterParts) {
    this.#parts = parts;
  }

  /** Imports whatever the folder holds and is not known yet. What is wrong is told in the log. */
  async importFolders(): Promise<void> {
    const { store, folders, log } = this.#parts;
    const roots = await this.#readRoots();
    if (roots !== undefined) {
      const versions = await folders.list();
      await this.#keepNewestKeySet(versions, roots);
      for (const version of versions) await this.#importFolder(version, roots);
    }
    const development = (await store.listReleases(AGENT_PACKAGE)).filter(({ isDevelopment }) => isDevelopment);
    if (development.length > 0)
      log("warn", "releases are signed with development keys: anybody can sign for hosts that take them", {
        versions: development.map(({ version }) => version),
      });
  }

  /**
   * Takes in an upload and tells its version.
   *
   * *Throws* RefusedError (release_invalid, release_known), InvalidFieldError or UnavailableError; then nothing was changed.
   */
  async importUpload(
    messages: AsyncIterable<ImportReleaseRequest>,
    signal: AbortSignal,
    actor: string,
  ): Promise<string> {
    const { store, rootKeysPath } = this.#parts;
    const upload = new Upload(messages, signal);
    const documents = await upload.readDocuments();
    const roots = await readRootKeys(rootKeysPath);
    const checked = checkDocuments(documents, roots, await store.findKeySet(AGENT_PACKAGE));
    const { version, sequence } = checked.manifest;
    refuseConflict(checked, await store.findNamesakes(AGENT_PACKAGE, version, Number(sequence)));
    if (this.#uploading.has(version)) throw knownRelease(version, `${version} is being imported by somebody else`);
    this.#uploading.add(version);
    try {
      await this.#take(upload, checked, roots, { actor, cause: "it was uploaded" });
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === "ENOSPC" ? diskFull() : error;
    } finally {
      this.#uploading.delete(version);
    }
    return version;
  }

  /** Receives the artifacts, then stores and places the release; the folder of one that fails is removed. */
  async #take(upload: Upload, checked: CheckedDocuments, roots: readonly PublicKey[], origin: Origin): Promise<void> {
    const { folders } = this.#parts;
    const { manifest, keySet } = checked;
    const sizeBytes = manifest.artifacts.reduce((sum, artifact) => sum + Number(artifact.sizeBytes), 0);
    await using folder = await folders.makeImport(sizeBytes);
    const artifacts = await upload.receiveArtifacts(manifest, folder.path);
    const documents = {
      manifest: checked.manifestBytes,
      signature: checked.signature,
      keys: keySet.keys,
      keysSignature: keySet.signature,
    };
    await writeDocuments(folder.path, documents);
    const place = (isAlreadyKnown: boolean): Promise<PendingChange> =>
      isAlreadyKnown
        ? folders.restore(folder.path, manifest.version, artifacts)
        : folders.place(folder.path, manifest.version);
    await recordRelease(this.#parts, roots, { documents, artifacts, origin, place });
  }

  async #importFolder(version: string, roots: readonly PublicKey[]): Promise<void> {
    const { store, folders, log } = this.#parts;
    try {
      const folder = folders.pathOf(version);
      const documents = await readDocuments(folder);
      const { manifest } = checkDocuments(documents, roots, await store.findKeySet(AGENT_PACKAGE));
      if (manifest.version !== version)
        throw invalidRelease("manifest.json", "wrong_version", `it is the manifest of ${manifest.version}`);
      const artifacts = await checkArtifacts(folder, manifest);
      const place = async (): Promise<PendingChange> => NOTHING_PLACED;
      await recordRelease(this.#parts, roots, { documents, artifacts, origin: FROM_FOLDER, place });
    } catch (error) {
      const { details } = error instanceof RefusedError ? error : { details: {} };
      log("error", "release not imported", { version, error: sentenceOf(error), ...details });
    }
  }

  /** *Shape*: `undefined` when there are none that can be used; the log says so in one line. */
  async #readRoots(): Promise<readonly PublicKey[] | undefined> {
    try {
      return await readRootKeys(this.#parts.rootKeysPath);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#parts.log("warn", "no release is imported", { error: sentenceOf(error) });
      return undefined;
    }
  }

  /** The folders come in no order: a key that the newest key set revokes signs nothing, whichever is read first. */
  async #keepNewestKeySet(versions: readonly string[], roots: readonly PublicKey[]): Promise<void> {
    const { folders } = this.#parts;
    const found: TrustedKeySet[] = [];
    for (const version of versions) {
      const documents = await readDocuments(folders.pathOf(version)).catch(() => undefined);
      if (documents === undefined) continue;
      const trusted = findTrusted({ keys: documents.keys, signature: documents.keysSignature }, roots);
      if (trusted !== undefined) found.push(trusted);
    }
    const [newest] = found.sort((one, other) => Number(other.keySet.sequence - one.keySet.sequence));
    if (newest !== undefined) await recordKeySet(this.#parts, roots, newest, FROM_FOLDER);
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

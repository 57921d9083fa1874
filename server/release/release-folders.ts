/**
 * The releases on the disk: one folder a version. What is not whole or not known yet
 * has a name with a dot, so a reader of the folder sees whole releases or none:
 *
 *   .import-<replica>-<uuid>     an upload, until it is renamed into place
 *   .aside-<replica>-<version>   a release that is being removed or replaced, until that is committed
 *
 * The replica's name keeps servers that share the folder from each other's.
 */
import { mkdir, open, readdir, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isVersion } from "../../gen/version.ts";
import type { Random } from "../domain/clock.ts";
import { UnavailableError } from "../domain/errors.ts";
import { DOCUMENT_FILES, type ReleaseDocuments } from "./check-documents.ts";
import type { CheckedArtifact } from "../domain/release.ts";
import { artifactFile } from "./checked-release.ts";

/** *Units*: bytes that stay free beside what is imported. */
const SPARE_BYTES = 64 * 1024 * 1024;

/** A change on the disk that waits for its transaction: exactly one of the two ends it. */
export interface PendingChange {
  /** The transaction was committed. */
  finish(): Promise<void>;
  /** It was not. */
  undo(): Promise<void>;
}

/** Where an upload is written until it is placed. */
export interface ImportFolder extends AsyncDisposable {
  readonly path: string;
}

export class ReleaseFolders {
  readonly #releasesDir: string;
  readonly #replica: string;
  readonly #random: Random;

  constructor(releasesDir: string, replica: string, random: Random) {
    this.#releasesDir = releasesDir;
    this.#replica = replica;
    this.#random = random;
  }

  /** Where the files of a version are. */
  pathOf(version: string): string {
    return join(this.#releasesDir, version);
  }

  /** Versions with a manifest, in no particular order. */
  async list(): Promise<readonly string[]> {
    const withManifest = [];
    for (const name of await this.#listNames()) {
      const manifest = await stat(join(this.pathOf(name), DOCUMENT_FILES.manifest)).catch(() => undefined);
      if (isVersion(name) && manifest?.isFile()) withManifest.push(name);
    }
    return withManifest;
  }

  /** Ends what a crash left half done. `isKnown` tells the versions that the database has. */
  async removeLeftovers(isKnown: (version: string) => boolean): Promise<void> {
    for (const name of await this.#listNames()) {
      const path = join(this.#releasesDir, name);
      const version = name.startsWith(this.#asidePrefix) ? name.slice(this.#asidePrefix.length) : undefined;
      if (version !== undefined && isKnown(version) && !(await exists(this.pathOf(version)))) {
        await rename(path, this.pathOf(version));
      } else if (version !== undefined || name.startsWith(this.#importPrefix)) {
        await rm(path, { recursive: true, force: true });
      }
    }
  }

  /** A fresh folder for an upload of so many bytes, gone when disposed. *Throws* UnavailableError when the disk has no room. */
  async makeImport(sizeBytes: number): Promise<ImportFolder> {
    await mkdir(this.#releasesDir, { recursive: true });
    const { bavail, bsize } = await statfs(this.#releasesDir);
    if (bavail * bsize < sizeBytes + SPARE_BYTES) throw diskFull();
    const path = join(this.#releasesDir, `${this.#importPrefix}${this.#random.uuid()}`);
    await mkdir(path);
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
  }

  /** Moves an upload to where its release belongs. What stands there under a version that nobody knows is replaced. */
  async place(folder: string, version: string): Promise<PendingChange> {
    const path = this.pathOf(version);
    const aside = (await exists(path)) ? await this.setAside(version) : undefined;
    const undo = async (): Promise<void> => {
      await rm(path, { recursive: true, force: true });
      await aside?.undo();
    };
    try {
      await syncFolder(folder);
      await rename(folder, path);
      await syncFolder(this.#releasesDir);
    } catch (error) {
      await undo();
      throw error;
    }
    return { finish: async () => aside?.finish(), undo };
  }

  /** Puts the files of an upload in the place of those of the same release: their bytes are the same, but whole. */
  async restore(folder: string, version: string, artifacts: readonly CheckedArtifact[]): Promise<PendingChange> {
    const path = this.pathOf(version);
    if (!(await exists(path))) return this.place(folder, version);
    for (const artifact of artifacts) {
      await mkdir(join(path, artifact.platform), { recursive: true });
      await rename(join(folder, artifactFile(artifact)), join(path, artifactFile(artifact)));
      await syncFolder(join(path, artifact.platform));
    }
    for (const file of Object.values(DOCUMENT_FILES)) {
      if (await exists(join(folder, file))) await rename(join(folder, file), join(path, file));
    }
    await syncFolder(path);
    return { finish: async () => undefined, undo: async () => undefined };
  }

  /** Takes a release out of sight until its removal is committed. */
  async setAside(version: string): Promise<PendingChange> {
    const path = this.pathOf(version);
    const aside = join(this.#releasesDir, `${this.#asidePrefix}${version}`);
    await rm(aside, { recursive: true, force: true });
    // Somebody may have deleted it by hand.
    if (await exists(path)) await rename(path, aside);
    await syncFolder(this.#releasesDir);
    return {
      finish: () => rm(aside, { recursive: true, force: true }),
      undo: async () => {
        if (await exists(aside)) await rename(aside, path);
      },
    };
  }

  get #importPrefix(): string {
    return `.import-${this.#replica}-`;
  }

  get #asidePrefix(): string {
    return `.aside-${this.#replica}-`;
  }

  async #listNames(): Promise<readonly string[]> {
    return readdir(this.#releasesDir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
  }
}

/** Writes the documents of an upload durably beside its artifacts. */
export async function writeDocuments(folder: string, documents: ReleaseDocuments): Promise<void> {
  for (const name of ["manifest", "signature", "keys", "keysSignature"] as const) {
    if (documents[name].length === 0) continue;
    await writeFile(join(folder, DOCUMENT_FILES[name]), documents[name], { flag: "wx", flush: true });
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

/** What a person is told when a disk has no room. */
export function diskFull(): UnavailableError {
  return new UnavailableError("The disk of the releases folder has no room for it. Nothing was changed.");
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/**
 * The artifacts that are being sent, and their caches: one file an artifact below the
 * data directory, named after its sha256. Caches are built one after another.
 */
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ArtifactFile, BlockSource, OpenBlocks } from "../stream/ports.ts";
import { ArtifactCache, type ArtifactCacheParts } from "./artifact-cache.ts";
import { damagedArtifact, OpenArtifact } from "./open-artifact.ts";

/** What the store works with. */
export interface BlockStoreParts {
  /** Made when it is missing. Nothing else may be in it. */
  readonly folder: string;
  readonly log: ArtifactCacheParts["log"];
}

export class BlockStore implements BlockSource, AsyncDisposable {
  readonly #parts: BlockStoreParts;
  readonly #caches = new Map<string, ArtifactCache>();
  readonly #closing = new AbortController();
  #building: Promise<void> = Promise.resolve();

  constructor(parts: BlockStoreParts) {
    this.#parts = parts;
  }

  /** Removes the caches of artifacts that are gone, and what a killed process left. Before anything is sent. */
  async keepOnly(sha256s: Iterable<string>): Promise<void> {
    const kept = new Set(sha256s);
    const names = await readdir(this.#parts.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    for (const name of names) {
      const [sha256 = "", rest = ""] = name.split("-");
      if (!kept.has(sha256) || !/^\d+\.zstd$/.test(rest))
        await rm(join(this.#parts.folder, name), { recursive: true, force: true });
    }
  }

  async open(artifact: ArtifactFile): Promise<OpenBlocks> {
    const cache = this.#cacheOf(artifact);
    await cache.look(artifact);
    try {
      await using parts = new AsyncDisposableStack();
      const file = parts.use(await open(artifact.artifactPath, "r"));
      const { size } = await file.stat();
      if (size !== artifact.sizeBytes) throw new Error(`it has ${size} bytes, not ${artifact.sizeBytes}`);
      parts.move();
      return new OpenArtifact(artifact, file, cache);
    } catch (error) {
      this.#parts.log("error", "a release's file is missing or damaged", {
        artifact: artifact.artifactPath,
        error: String(error),
      });
      throw damagedArtifact(error);
    }
  }

  /** Ends what is being built. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the server is shutting down"));
    await this.#building;
  }

  #cacheOf(artifact: ArtifactFile): ArtifactCache {
    const name = nameOf(artifact);
    const known = this.#caches.get(name);
    if (known !== undefined) return known;
    const cache = new ArtifactCache({
      path: join(this.#parts.folder, name),
      schedule: (work) => {
        this.#building = this.#building.then(work);
      },
      signal: this.#closing.signal,
      log: this.#parts.log,
    });
    this.#caches.set(name, cache);
    return cache;
  }
}

/** The same artifact may be cut into blocks of another size. */
function nameOf(artifact: Pick<ArtifactFile, "sha256" | "blockSizeBytes">): string {
  return `${artifact.sha256}-${artifact.blockSizeBytes}.zstd`;
}

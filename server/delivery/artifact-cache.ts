/**
 * What is known of one artifact's cache.
 *
 *     unknown → absent | ready        the disk was looked at
 *     absent → building → ready       enough was sent without it
 *              building → absent      it could not be written
 *     ready → building                a block was damaged, or the file was
 *
 * Until it is ready, and whenever it turns out to be damaged, blocks are read from
 * the artifact. There is one per artifact, so it is never compressed twice at once.
 */
import { open, rm, type FileHandle } from "node:fs/promises";
import type { ArtifactFile } from "../stream/ports.ts";
import { readTrailer, type StoredBlock } from "./cache-file.ts";
import { writeCache } from "./write-cache.ts";

/** A cache that was found whole. */
export interface ReadyCache {
  readonly blocks: readonly StoredBlock[];
}

type State =
  | { readonly kind: "unknown" | "building" }
  | { readonly kind: "absent"; readonly uncachedBytes: number }
  | { readonly kind: "ready"; readonly cache: ReadyCache };

/** What it works with. */
export interface ArtifactCacheParts {
  readonly path: string;
  /** Does this when its turn has come, one after another. */
  readonly schedule: (work: () => Promise<void>) => void;
  /** Ends what is being built. */
  readonly signal: AbortSignal;
  readonly log: (level: "info" | "warn" | "error", event: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Small artifacts are sent often before it pays to cache them. */
const LEAST_UNCACHED_BYTES = 1_048_576;

export class ArtifactCache {
  readonly #parts: ArtifactCacheParts;
  #state: State = { kind: "unknown" };
  #looking: Promise<void> | undefined;

  constructor(parts: ArtifactCacheParts) {
    this.#parts = parts;
  }

  /** The cache, once it is ready. */
  get ready(): ReadyCache | undefined {
    return this.#state.kind === "ready" ? this.#state.cache : undefined;
  }

  /** Looks for a cache that an earlier process left; one that is damaged is built anew. */
  async look(artifact: ArtifactFile): Promise<void> {
    if (this.#state.kind !== "unknown") return;
    this.#looking ??= this.#look(artifact);
    await this.#looking;
  }

  /** Opens the file of a ready cache. *Shape*: `undefined` when it is gone. */
  async openFile(artifact: ArtifactFile, cache: ReadyCache): Promise<FileHandle | undefined> {
    try {
      return await open(this.#parts.path, "r");
    } catch (error) {
      await this.distrust(artifact, cache, error);
      return undefined;
    }
  }

  /** Bytes were sent from the artifact itself. An eighth of it, and the cache is built. */
  countUncached(artifact: ArtifactFile, bytes: number): void {
    if (this.#state.kind !== "absent") return;
    const uncachedBytes = this.#state.uncachedBytes + bytes;
    this.#state = { kind: "absent", uncachedBytes };
    if (uncachedBytes >= Math.max(LEAST_UNCACHED_BYTES, artifact.sizeBytes / 8)) this.#build(artifact);
  }

  /** This cache turned out to be damaged: it is removed and built anew. */
  async distrust(artifact: ArtifactFile, cache: ReadyCache, error: unknown): Promise<void> {
    if (this.ready !== cache) return;
    this.#state = { kind: "building" };
    await this.#discard(error);
    this.#build(artifact);
  }

  async #look(artifact: ArtifactFile): Promise<void> {
    try {
      this.#state = { kind: "ready", cache: await this.#readCache(artifact) };
    } catch (error) {
      this.#state = { kind: "absent", uncachedBytes: 0 };
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      await this.#discard(error);
      this.#build(artifact);
    }
  }

  #build(artifact: ArtifactFile): void {
    this.#state = { kind: "building" };
    this.#parts.schedule(() => this.#buildSafely(artifact));
  }

  async #buildSafely(artifact: ArtifactFile): Promise<void> {
    const { path, signal, log } = this.#parts;
    try {
      signal.throwIfAborted();
      await writeCache(artifact, path, signal);
      this.#state = { kind: "ready", cache: await this.#readCache(artifact) };
      log("info", "an artifact's blocks are compressed", { artifact: artifact.artifactPath });
    } catch (error) {
      // Tried again once as much was sent as made it worth this time.
      this.#state = { kind: "absent", uncachedBytes: 0 };
      if (signal.aborted) return;
      log("warn", "an artifact's blocks could not be cached; they are sent as they are", {
        artifact: artifact.artifactPath,
        error: String(error),
      });
    }
  }

  async #readCache(artifact: ArtifactFile): Promise<ReadyCache> {
    await using file = await open(this.#parts.path, "r");
    return { blocks: await readTrailer(file, artifact) };
  }

  async #discard(error: unknown): Promise<void> {
    const { path, log } = this.#parts;
    log("warn", "a cache of compressed blocks is damaged; it is made anew", { path, error: String(error) });
    await rm(path, { force: true }).catch(() => undefined);
  }
}

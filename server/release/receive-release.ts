/**
 * Takes in an uploaded release: its documents, then the bytes of its artifacts, one
 * after another in the manifest's order. What is received is digested as it is
 * written; nothing is written beyond the size that a signed manifest announced.
 *
 * The messages' iterator is never returned early: that would end the connection
 * before its client reads why it was refused.
 */
import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ArtifactChunk, ImportReleaseRequest } from "../../gen/rollcall/v1/catalog_pb.js";
import type { Manifest, ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import { InvalidFieldError } from "../domain/errors.ts";
import { ArtifactDigest } from "./artifact-digest.ts";
import type { ReleaseDocuments } from "./check-documents.ts";
import type { CheckedArtifact } from "../domain/release.ts";
import { artifactFile } from "./checked-release.ts";
import { syncFolder } from "./release-folders.ts";

const PROGRAM_MODE = 0o755;

/** The messages of one upload. */
export class Upload {
  readonly #messages: AsyncIterator<ImportReleaseRequest>;
  readonly #aborted: Promise<never>;
  #chunk: ArtifactChunk | undefined;

  /** `signal` aborts when the client is gone, or may not go on. */
  constructor(messages: AsyncIterable<ImportReleaseRequest>, signal: AbortSignal) {
    this.#messages = messages[Symbol.asyncIterator]();
    this.#aborted = new Promise<never>((_resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
    // Between two messages nobody listens to it.
    this.#aborted.catch(() => undefined);
  }

  /** The first message. *Throws* InvalidFieldError when it holds something else. */
  async readDocuments(): Promise<ReleaseDocuments> {
    const message = await this.#next();
    if (message?.part.case !== "documents")
      throw new InvalidFieldError("documents", "must be the first message of an import");
    return message.part.value;
  }

  /** Writes every artifact that the manifest names below `folder`, and makes them durable. */
  async receiveArtifacts(manifest: Manifest, folder: string): Promise<readonly CheckedArtifact[]> {
    const artifacts: CheckedArtifact[] = [];
    this.#chunk = await this.#nextChunk();
    for (const artifact of manifest.artifacts) artifacts.push(await this.#receive(artifact, folder));
    if (this.#chunk !== undefined)
      throw new InvalidFieldError("chunk.platform", `${this.#chunk.platform} is not what the manifest has next`);
    return artifacts;
  }

  async #receive(artifact: ManifestArtifact, folder: string): Promise<CheckedArtifact> {
    const path = join(folder, artifactFile(artifact));
    const digest = new ArtifactDigest(artifact);
    await mkdir(dirname(path), { recursive: true });
    await using file = await open(path, "wx", PROGRAM_MODE);
    while (this.#chunk?.platform === artifact.platform) {
      if (this.#chunk.data.length === 0) throw new InvalidFieldError("chunk.data", "is empty");
      digest.update(this.#chunk.data);
      await file.writeFile(this.#chunk.data);
      this.#chunk = await this.#nextChunk();
    }
    const checked = digest.check();
    await file.sync();
    await syncFolder(dirname(path));
    return checked;
  }

  /** *Shape*: `undefined` at the end. */
  async #nextChunk(): Promise<ArtifactChunk | undefined> {
    const message = await this.#next();
    if (message === undefined) return undefined;
    if (message.part.case === "chunk") return message.part.value;
    throw new InvalidFieldError("chunk", "is required in every message after the first");
  }

  async #next(): Promise<ImportReleaseRequest | undefined> {
    const result = await Promise.race([this.#messages.next(), this.#aborted]);
    return result.done === true ? undefined : result.value;
  }
}

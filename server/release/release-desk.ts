/** Where people and programs change releases. */
import type { ImportReleaseRequest } from "../../gen/rollcall/v1/catalog_pb.js";
import type { Release } from "../domain/release.ts";
import type { ReleaseCatalog } from "./release-catalog.ts";
import type { ReleaseImporter } from "./release-importer.ts";

/** What the desk works with. */
export interface ReleaseDeskParts {
  readonly importer: ReleaseImporter;
  readonly catalog: ReleaseCatalog;
  /** Told once another version is the target, or what it is made of may be sent again. */
  readonly targetChanged: () => void;
  /** Told of each release that was taken in. */
  readonly imported: () => void;
}

export class ReleaseDesk {
  readonly #parts: ReleaseDeskParts;

  constructor(parts: ReleaseDeskParts) {
    this.#parts = parts;
  }

  /** Takes in an upload. The first release of the server's own version becomes the target. */
  async importRelease(
    messages: AsyncIterable<ImportReleaseRequest>,
    signal: AbortSignal,
    actor: string,
  ): Promise<Release> {
    const { importer, catalog, imported } = this.#parts;
    const version = await importer.importUpload(messages, signal, actor);
    imported();
    await this.followServerVersion();
    return catalog.get(version);
  }

  /** Lets the target follow the server's own version, whoever took that release in. */
  async followServerVersion(): Promise<void> {
    if (await this.#parts.catalog.followServerVersion()) this.#parts.targetChanged();
  }

  async removeRelease(version: string, actor: string): Promise<void> {
    await this.#parts.catalog.remove(version, actor);
  }

  async liftQuarantine(sha256: string, actor: string): Promise<void> {
    await this.#parts.catalog.liftQuarantine(sha256, actor);
    this.#parts.targetChanged();
  }

  async setTargetVersion(version: string, actor: string): Promise<Release> {
    const release = await this.#parts.catalog.setTargetVersion(version, actor);
    this.#parts.targetChanged();
    return release;
  }
}

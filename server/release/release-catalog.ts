/**
 * The releases this server can deliver: folders below its releases folder, imported
 * into the database once their files were checked. A bad one changes nothing.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isVersion } from "../../gen/version.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import { RefusedError } from "../domain/errors.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import type { HostId } from "../domain/ids.ts";
import type { Release } from "../domain/release.ts";
import type { Delivery, DeliverySource } from "../stream/ports.ts";
import { readRelease, type CheckedRelease } from "./read-release.ts";

/** The durable side of releases. */
export interface ReleaseStore {
  listReleaseDigests(packageName: string): Promise<ReadonlyMap<string, Uint8Array>>;
  listReleases(packageName: string): Promise<readonly Release[]>;
  findJobArtifact(hostId: HostId, jobId: string): Promise<JobArtifact | undefined>;
  transaction<Result>(work: (tx: ReleaseTransaction) => Promise<Result>): Promise<Result>;
}

/** The writes of one import or one change of the target. */
export interface ReleaseTransaction {
  insertRelease(release: CheckedRelease): Promise<void>;
  followServerVersion(packageName: string, version: string): Promise<boolean>;
  /** False when there is no such release. */
  chooseTargetVersion(packageName: string, version: string, chosenBy: string | null): Promise<boolean>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
}

interface JobArtifact extends Omit<Delivery, "artifactPath"> {
  readonly version: string;
  readonly platform: string;
  readonly fileName: string;
}

/** What the catalog works with. */
export interface ReleaseCatalogParts {
  readonly store: ReleaseStore;
  readonly releasesDir: string;
  readonly log: (level: "info" | "warn" | "error", event: string, fields?: Readonly<Record<string, unknown>>) => void;
}

export class ReleaseCatalog implements DeliverySource {
  readonly #parts: ReleaseCatalogParts;

  constructor(parts: ReleaseCatalogParts) {
    this.#parts = parts;
  }

  /** Imports every release that is not known yet, then lets the target follow the server's own version. */
  async importNew(serverVersion: string): Promise<void> {
    const known = await this.#parts.store.listReleaseDigests(AGENT_PACKAGE);
    for (const version of await this.#listFolders()) await this.#importOne(version, known.get(version));
    const { store } = this.#parts;
    if (!(await store.listReleaseDigests(AGENT_PACKAGE)).has(serverVersion)) {
      this.#parts.log("warn", "no release of this server's own version", { version: serverVersion });
      return;
    }
    await store.transaction(async (tx) => {
      if (!(await tx.followServerVersion(AGENT_PACKAGE, serverVersion))) return;
      await tx.writeAuditEvent({
        actor: "rollcall",
        action: "release.target_changed",
        cause: "the target follows the server's own version",
        details: { package: AGENT_PACKAGE, version: serverVersion },
      });
    });
  }

  /**
   * Chooses the version the fleet should run; empty to follow the server's own again. No host is updated by it.
   *
   * *Throws* RefusedError (release_unknown).
   */
  async setTargetVersion(chosen: string, serverVersion: string, actor: string): Promise<Release> {
    const { store } = this.#parts;
    const version = chosen === "" ? serverVersion : chosen;
    await store.transaction(async (tx) => {
      if (!(await tx.chooseTargetVersion(AGENT_PACKAGE, version, chosen === "" ? null : actor))) {
        throw new RefusedError("release_unknown", `There is no release ${version}. Nothing was changed.`, { version });
      }
      await tx.writeAuditEvent({
        actor,
        action: "release.target_changed",
        cause: chosen === "" ? "the target follows the server's own version" : "a target version was chosen",
        details: { package: AGENT_PACKAGE, version },
      });
    });
    const release = (await store.listReleases(AGENT_PACKAGE)).find((candidate) => candidate.version === version);
    if (release === undefined) throw new Error(`release ${version} is gone`);
    return release;
  }

  async find(hostId: HostId, jobId: string): Promise<Delivery> {
    const artifact = await this.#parts.store.findJobArtifact(hostId, jobId);
    if (artifact === undefined) {
      throw new RefusedError("not_in_job", "This host has no such open job.", { job_id: jobId });
    }
    const { version, platform, fileName, ...delivery } = artifact;
    return { ...delivery, artifactPath: join(this.#parts.releasesDir, version, platform, fileName) };
  }

  /** Versions with a manifest, in no particular order. */
  async #listFolders(): Promise<readonly string[]> {
    const names = await readdir(this.#parts.releasesDir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const withManifest = [];
    for (const name of names) {
      const manifest = await stat(join(this.#parts.releasesDir, name, "manifest.json")).catch(() => undefined);
      if (isVersion(name) && manifest?.isFile()) withManifest.push(name);
    }
    return withManifest;
  }

  async #importOne(version: string, knownDigest: Uint8Array | undefined): Promise<void> {
    const { store, releasesDir, log } = this.#parts;
    try {
      const release = await readRelease(releasesDir, version);
      if (release.package !== AGENT_PACKAGE) throw new Error(`it is a release of ${release.package}`);
      if (knownDigest !== undefined) {
        if (!release.manifestSha256.equals(knownDigest)) throw new Error(`${version} is known with another manifest`);
        return;
      }
      await store.transaction(async (tx) => {
        await tx.insertRelease(release);
        await tx.writeAuditEvent({
          actor: "rollcall",
          action: "release.imported",
          cause: "it stands in the releases folder",
          details: { package: release.package, version, sequence: release.sequence },
        });
      });
      log("info", "release imported", { version, platforms: release.artifacts.map((artifact) => artifact.platform) });
    } catch (error) {
      log("error", "release not imported; nothing was changed", { version, error: String(error) });
    }
  }
}

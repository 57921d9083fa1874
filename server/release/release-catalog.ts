/** The releases that are known: what hosts fetch of them, which one the fleet should run, and their removal. */
import { join } from "node:path";
import { RefusedError } from "../domain/errors.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import type { HostId } from "../domain/ids.ts";
import type { Release } from "../domain/release.ts";
import type { Delivery, DeliverySource } from "../stream/ports.ts";
import type { Log, RefusingHosts, ReleaseStore, ReleaseTransaction, ReleaseUse } from "./ports.ts";
import type { PendingChange, ReleaseFolders } from "./release-folders.ts";

/** What the catalog works with. */
export interface ReleaseCatalogParts {
  readonly store: ReleaseStore;
  readonly folders: ReleaseFolders;
  readonly serverVersion: string;
  readonly log: Log;
}

/** Hosts that a refusal names. */
const NAMED_HOSTS = 10;

export class ReleaseCatalog implements DeliverySource {
  readonly #parts: ReleaseCatalogParts;

  constructor(parts: ReleaseCatalogParts) {
    this.#parts = parts;
  }

  /**
   * Lets the target follow the server's own version, unless an admin chose another. It only goes forward, by the
   * releases' sequence: servers of two versions may share a database while they are upgraded one after the other, and
   * an old one that starts again must not set the fleet back. True when that changed it.
   */
  async followServerVersion(): Promise<boolean> {
    const { store, serverVersion: version, log } = this.#parts;
    const releases = await this.#list();
    const own = releases.find((release) => release.version === version);
    if (own === undefined) {
      log("warn", "no release of this server's own version", { version });
      return false;
    }
    const target = releases.find((release) => release.isTarget);
    if (target !== undefined && target.sequence > own.sequence)
      log("info", "the target stays: it is newer than this server", { version, target: target.version });
    return store.transaction(async (tx) => {
      if (!(await tx.followServerVersion(AGENT_PACKAGE, version))) return false;
      await tx.writeAuditEvent({
        actor: "rollcall",
        action: "release.target_changed",
        cause: "the target follows the server's own version",
        details: { package: AGENT_PACKAGE, version },
      });
      return true;
    });
  }

  /**
   * Chooses the version the fleet should run; empty to follow the server's own again. No host is updated by it.
   *
   * *Throws* RefusedError (release_unknown, below_sequence_floor).
   */
  async setTargetVersion(chosen: string, actor: string): Promise<Release> {
    const { store, serverVersion } = this.#parts;
    const version = chosen === "" ? serverVersion : chosen;
    await store.transaction(async (tx) => {
      const release = await tx.chooseTargetVersion(AGENT_PACKAGE, version, chosen === "" ? null : actor);
      if (release === undefined) throw unknownRelease(version);
      const { sequence, permittedFloor } = release;
      const refusing = await tx.findRefusingHosts(sequence, permittedFloor, NAMED_HOSTS);
      if (refusing.count > 0) throw belowFloor(version, sequence, refusing);
      await tx.writeAuditEvent({
        actor,
        action: "release.target_changed",
        cause: chosen === "" ? "the target follows the server's own version" : "a target version was chosen",
        details: { package: AGENT_PACKAGE, version },
      });
    });
    return this.get(version);
  }

  /**
   * Deletes a release and its files. Hosts that run it need nothing of it: they fetch what they are brought to,
   * and their own former binary brings them back.
   *
   * *Throws* RefusedError (release_unknown, release_in_use); then nothing was changed.
   */
  async remove(version: string, actor: string): Promise<void> {
    const aside: PendingChange[] = [];
    try {
      await this.#parts.store.transaction(async (tx) => {
        if (await this.#delete(tx, version, actor)) aside.push(await this.#parts.folders.setAside(version));
      });
    } catch (error) {
      for (const change of aside) await change.undo();
      throw error;
    }
    for (const change of aside) await change.finish();
  }

  /**
   * Lets a quarantined artifact be sent again. Asked twice, answered alike.
   *
   * *Throws* RefusedError (artifact_unknown).
   */
  async liftQuarantine(sha256: string, actor: string): Promise<void> {
    await this.#parts.store.transaction(async (tx) => {
      const lifted = await tx.liftQuarantine(sha256);
      if (lifted === "unknown") {
        const sentence = `There is no artifact whose sha256 is ${sha256}. Nothing was changed.`;
        throw new RefusedError("artifact_unknown", sentence, { sha256 });
      }
      if (lifted === undefined) return;
      await tx.writeAuditEvent({
        actor,
        action: "release.quarantine_lifted",
        cause: "a quarantine was lifted",
        details: { package: AGENT_PACKAGE, sha256, hosts: lifted.hosts },
      });
    });
  }

  /** *Throws* RefusedError (release_unknown). */
  async get(version: string): Promise<Release> {
    const release = (await this.#list()).find((candidate) => candidate.version === version);
    if (release === undefined) throw unknownRelease(version);
    return release;
  }

  async find(hostId: HostId, jobId: string): Promise<Delivery> {
    const artifact = await this.#parts.store.findJobArtifact(hostId, jobId);
    if (artifact === undefined) {
      throw new RefusedError("not_in_job", "This host has no such open job.", { job_id: jobId });
    }
    const { version, platform, fileName, ...delivery } = artifact;
    return { ...delivery, artifactPath: join(this.#parts.folders.pathOf(version), platform, fileName) };
  }

  /** False when it was removed before: asked twice, answered alike. */
  async #delete(tx: ReleaseTransaction, version: string, actor: string): Promise<boolean> {
    await tx.lockReleases();
    const use = await tx.lockReleaseUse(AGENT_PACKAGE, version);
    if (use === undefined) {
      if (await tx.wasRemoved(AGENT_PACKAGE, version)) return false;
      throw unknownRelease(version);
    }
    const need = describeNeed(use);
    if (need !== undefined)
      throw new RefusedError("release_in_use", `${version} ${need}. Nothing was changed.`, { version });
    await tx.removeRelease(AGENT_PACKAGE, version);
    await tx.writeAuditEvent({
      actor,
      action: "release.removed",
      cause: "a release was removed",
      details: { package: AGENT_PACKAGE, version },
    });
    return true;
  }

  #list(): Promise<readonly Release[]> {
    return this.#parts.store.listReleases(AGENT_PACKAGE);
  }
}

function describeNeed({ isTarget, openJobs, isRollingOut }: ReleaseUse): string | undefined {
  if (isTarget) return "is the target version";
  if (isRollingOut) return "is what a running fleet update brings hosts to";
  if (openJobs > 0) return `is needed by ${openJobs === 1 ? "one running update" : `${openJobs} running updates`}`;
  return undefined;
}

function unknownRelease(version: string): RefusedError {
  return new RefusedError("release_unknown", `There is no release ${version}. Nothing was changed.`, { version });
}

function belowFloor(version: string, sequence: number, { count, hostnames, highestFloor }: RefusingHosts): Error {
  const more = count > hostnames.length ? ` and ${count - hostnames.length} more` : "";
  const hosts = count === 1 ? "A host" : `${count} hosts`;
  return new RefusedError(
    "below_sequence_floor",
    `${hosts} would refuse ${version}, whose sequence ${sequence} is below what they take (up to ${highestFloor}): ` +
      `${hostnames.join(", ")}${more}. Nothing was changed.`,
    {
      version,
      sequence: String(sequence),
      floor: String(highestFloor),
      hosts: hostnames.join(", "),
      count: String(count),
    },
  );
}

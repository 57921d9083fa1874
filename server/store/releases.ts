/** Questions about releases and the version the fleet should run. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { HostId, JobId } from "../domain/ids.ts";
import type { CheckedRelease, Release } from "../domain/release.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** What a host may fetch for its open job. */
export interface JobArtifact {
  readonly version: string;
  readonly manifest: Uint8Array;
  readonly signature: Uint8Array;
  /** The newest key set and its signature; empty where none is known. */
  readonly keys: Uint8Array;
  readonly keysSignature: Uint8Array;
  readonly blockList: Uint8Array;
  readonly sha256: string;
  readonly platform: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  /** *Units*: bytes that were sent for the job so far. */
  readonly bytesDelivered: number;
}

/** Releases, present and removed, of this version or this sequence. */
export async function findNamesakes(db: Executor, packageName: string, version: string, sequence: number) {
  const present = await db
    .selectFrom("releases")
    .select(["version", "sequence", "manifest_sha256"])
    .where("package", "=", packageName)
    .where((row) => row.or([row("version", "=", version), row("sequence", "=", BigInt(sequence))]))
    .execute();
  const removed = await db
    .selectFrom("removed_artifacts")
    .select(["version", "sequence", "platform", "sha256"])
    .where("package", "=", packageName)
    .where((row) => row.or([row("version", "=", version), row("sequence", "=", BigInt(sequence))]))
    .execute();
  return {
    present: present.map((row) => ({
      version: row.version,
      sequence: Number(row.sequence),
      manifestSha256: row.manifest_sha256,
    })),
    removed: removed.map((row) => ({ ...row, sequence: Number(row.sequence) })),
  };
}

/** Adds a release with its artifacts. Throws the driver's unique violation for a known version or sequence. */
export async function insertRelease(tx: Transaction<Db>, release: CheckedRelease): Promise<void> {
  await tx
    .insertInto("releases")
    .values({
      package: release.package,
      version: release.version,
      sequence: BigInt(release.sequence),
      permitted_floor: BigInt(release.permittedFloor),
      install_revision: release.installRevision,
      manifest: Buffer.from(release.manifest),
      manifest_sha256: Buffer.from(release.manifestSha256),
      ...signatureColumns(release),
    })
    .execute();
  for (const artifact of release.artifacts) {
    await tx
      .insertInto("release_artifacts")
      .values({
        package: release.package,
        version: release.version,
        platform: artifact.platform,
        file_name: artifact.fileName,
        size_bytes: BigInt(artifact.sizeBytes),
        sha256: artifact.sha256,
        block_size_bytes: artifact.blockSizeBytes,
        block_list: Buffer.from(artifact.blockList),
      })
      .execute();
  }
}

/** Stores who signed a known release by now. False when that is stored already. */
export async function replaceSignature(tx: Transaction<Db>, release: CheckedRelease): Promise<boolean> {
  const row = await tx
    .updateTable("releases")
    .set(signatureColumns(release))
    .where("package", "=", release.package)
    .where("version", "=", release.version)
    .where("signature", "!=", Buffer.from(release.signature))
    .returning("version")
    .executeTakeFirst();
  return row !== undefined;
}

function signatureColumns({ signature, keyId, keyLabel, isDevelopment }: CheckedRelease) {
  return {
    signature: Buffer.from(signature),
    key_id: keyId,
    key_label: keyLabel,
    is_development: isDevelopment,
  };
}

/** The version the fleet should run, or `undefined` while none is set. */
export async function findTargetVersion(db: Executor, packageName: string): Promise<string | undefined> {
  const target = await db
    .selectFrom("target_versions")
    .select("version")
    .where("package", "=", packageName)
    .executeTakeFirst();
  return target?.version;
}

/** The same, kept from being removed until the transaction ends. */
export async function holdTargetVersion(tx: Transaction<Db>, packageName: string): Promise<string | undefined> {
  const target = await tx
    .selectFrom("releases")
    .innerJoin("target_versions", (join) =>
      join
        .onRef("target_versions.package", "=", "releases.package")
        .onRef("target_versions.version", "=", "releases.version"),
    )
    .select("releases.version")
    .where("releases.package", "=", packageName)
    .forKeyShare("releases")
    .executeTakeFirst();
  return target?.version;
}

/**
 * Lets the target follow the server's own version, unless an admin chose another or it is that of a later release.
 * True when that changed it.
 */
export async function followServerVersion(db: Executor, packageName: string, version: string): Promise<boolean> {
  const changed = await db
    .insertInto("target_versions")
    .values({ package: packageName, version, chosen_by: null })
    .onConflict((conflict) =>
      conflict
        .column("package")
        .doUpdateSet({ version, changed_at: sql<Date>`clock_timestamp()` })
        .where("target_versions.chosen_by", "is", null)
        .where(
          sql<boolean>`(select sequence from releases where package = ${packageName} and version = ${version})
            > (select sequence from releases where package = target_versions.package and version = target_versions.version)`,
        ),
    )
    .returning("version")
    .executeTakeFirst();
  return changed !== undefined;
}

/**
 * The releases and artifacts of hosts' open jobs.
 *
 * *Shape*: for each, in order; `undefined` where `jobId` is not the host's open job.
 */
export async function findJobArtifacts(
  db: Executor,
  asked: readonly { readonly hostId: HostId; readonly jobId: JobId }[],
): Promise<readonly (JobArtifact | undefined)[]> {
  const rows = await db
    .selectFrom("jobs")
    .innerJoin("hosts", "hosts.id", "jobs.host_id")
    .innerJoin("releases", (join) =>
      join
        .onRef("releases.package", "=", "jobs.package")
        .onRef("releases.manifest_sha256", "=", "jobs.manifest_sha256"),
    )
    .innerJoin("release_artifacts", (join) =>
      join
        .onRef("release_artifacts.package", "=", "releases.package")
        .onRef("release_artifacts.version", "=", "releases.version")
        .on(sql<boolean>`release_artifacts.platform = hosts.os || '-' || hosts.arch`),
    )
    .leftJoin("key_sets", "key_sets.package", "releases.package")
    .select([
      "jobs.id",
      "jobs.host_id",
      "releases.version",
      "releases.manifest",
      "releases.signature",
      "key_sets.keys",
      "key_sets.signature as keys_signature",
      "release_artifacts.block_list",
      "release_artifacts.sha256",
      "jobs.bytes_delivered",
      "release_artifacts.platform",
      "release_artifacts.file_name",
      "release_artifacts.size_bytes",
      "release_artifacts.block_size_bytes",
    ])
    .where("jobs.id", "=", sql<JobId>`any(${asked.map(({ jobId }) => jobId)}::uuid[])`)
    .where("jobs.ended_at", "is", null)
    .execute();
  const byJob = new Map(rows.map((row) => [row.id, row]));
  return asked.map(({ hostId, jobId }) => {
    const row = byJob.get(jobId);
    if (row?.host_id !== hostId) return undefined;
    return {
      version: row.version,
      manifest: row.manifest,
      signature: row.signature,
      keys: row.keys ?? Buffer.alloc(0),
      keysSignature: row.keys_signature ?? Buffer.alloc(0),
      blockList: row.block_list,
      sha256: row.sha256,
      bytesDelivered: Number(row.bytes_delivered),
      platform: row.platform,
      fileName: row.file_name,
      sizeBytes: Number(row.size_bytes),
      blockSizeBytes: row.block_size_bytes,
    };
  });
}

/** Chooses the version the fleet should run, and tells what decides who takes it; `undefined` for no release. */
export async function chooseTargetVersion(
  tx: Transaction<Db>,
  packageName: string,
  version: string,
  chosenBy: string | null,
): Promise<{ readonly sequence: number; readonly permittedFloor: number } | undefined> {
  const known = await tx
    .selectFrom("releases")
    .select(["sequence", "permitted_floor"])
    .where("package", "=", packageName)
    .where("version", "=", version)
    .forKeyShare()
    .executeTakeFirst();
  if (known === undefined) return undefined;
  await tx
    .insertInto("target_versions")
    .values({ package: packageName, version, chosen_by: chosenBy })
    .onConflict((conflict) =>
      conflict
        .column("package")
        .doUpdateSet({ version, chosen_by: chosenBy, changed_at: sql<Date>`clock_timestamp()` }),
    )
    .execute();
  return { sequence: Number(known.sequence), permittedFloor: Number(known.permitted_floor) };
}

/** Every release of a package, highest sequence first. */
export async function listReleases(db: Executor, packageName: string): Promise<readonly Release[]> {
  const releases = await db
    .selectFrom("releases")
    .selectAll()
    .where("package", "=", packageName)
    .orderBy("sequence", "desc")
    .execute();
  const artifacts = await db
    .selectFrom("release_artifacts")
    .leftJoin("quarantined_artifacts", "quarantined_artifacts.sha256", "release_artifacts.sha256")
    .select(["version", "platform", "size_bytes", "release_artifacts.sha256", "quarantined_at"])
    .select((row) =>
      row
        .selectFrom("artifact_rollbacks")
        .select(sql<bigint>`count(*)`.as("hosts"))
        .whereRef("artifact_rollbacks.sha256", "=", "release_artifacts.sha256")
        .as("rolled_back_hosts"),
    )
    .where("package", "=", packageName)
    .orderBy("platform")
    .execute();
  const target = await findTargetVersion(db, packageName);
  return releases.map((release) => ({
    package: release.package,
    version: release.version,
    sequence: Number(release.sequence),
    importedAt: release.imported_at,
    isTarget: release.version === target,
    keyId: release.key_id,
    keyLabel: release.key_label,
    isDevelopment: release.is_development,
    permittedFloor: Number(release.permitted_floor),
    installRevision: release.install_revision,
    artifacts: artifacts
      .filter((artifact) => artifact.version === release.version)
      .map((artifact) => ({
        platform: artifact.platform,
        sizeBytes: Number(artifact.size_bytes),
        sha256: artifact.sha256,
        isQuarantined: artifact.quarantined_at !== null,
        rolledBackHosts: Number(artifact.rolled_back_hosts ?? 0),
      })),
  }));
}

/** Questions about releases that are to be removed, and about those that were. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { Db } from "./schema.ts";

/** Who needs a release. */
export interface ReleaseUse {
  readonly isTarget: boolean;
  readonly openJobs: number;
  readonly isRollingOut: boolean;
}

/** Lets one transaction at a time import or remove releases. */
export async function lockReleases(tx: Transaction<Db>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('rollcall change releases'))`.execute(tx);
}

/**
 * Locks a release and tells who needs it; `undefined` when there is none.
 *
 * Whoever is about to need it holds its row (`for key share`), so this waits for them and then sees what they wrote.
 */
export async function lockReleaseUse(
  tx: Transaction<Db>,
  packageName: string,
  version: string,
): Promise<ReleaseUse | undefined> {
  const release = await tx
    .selectFrom("releases")
    .select("manifest_sha256")
    .where("package", "=", packageName)
    .where("version", "=", version)
    .forUpdate()
    .executeTakeFirst();
  if (release === undefined) return undefined;
  const { rows } = await sql<{ is_target: boolean; open_jobs: bigint; is_rolling_out: boolean }>`
    select
      exists (select from target_versions where package = ${packageName} and version = ${version}) as is_target,
      (select count(*) from jobs where package = ${packageName} and manifest_sha256 = ${release.manifest_sha256}
        and ended_at is null) as open_jobs,
      exists (select from fleet_updates where package = ${packageName} and to_version = ${version}
        and state = 'running') as is_rolling_out
  `.execute(tx);
  const [use] = rows;
  return {
    isTarget: use?.is_target === true,
    openJobs: Number(use?.open_jobs ?? 0),
    isRollingOut: use?.is_rolling_out === true,
  };
}

/** Whether a release of this version was removed. */
export async function wasRemoved(
  db: Kysely<Db> | Transaction<Db>,
  packageName: string,
  version: string,
): Promise<boolean> {
  const row = await db
    .selectFrom("removed_artifacts")
    .select("version")
    .where("package", "=", packageName)
    .where("version", "=", version)
    .executeTakeFirst();
  return row !== undefined;
}

/** Deletes a release and keeps in mind what its version and sequence meant. */
export async function removeRelease(tx: Transaction<Db>, packageName: string, version: string): Promise<void> {
  await sql`
    insert into removed_artifacts (package, version, sequence, platform, sha256)
    select package, version, sequence, platform, sha256
    from releases join release_artifacts using (package, version)
    where package = ${packageName} and version = ${version}
    on conflict (package, version, platform) do update set removed_at = excluded.removed_at
  `.execute(tx);
  for (const table of ["release_artifacts", "releases"] as const) {
    await tx.deleteFrom(table).where("package", "=", packageName).where("version", "=", version).execute();
  }
}

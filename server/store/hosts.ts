/** Questions about hosts. Everybody's picture of a host comes from `hostQuery`: one predicate, one number. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { DispatchFacts } from "../domain/dispatch-check.ts";
import { AGENT_PACKAGE, needsReinstall, platformOf, type Host, type HostCounts } from "../domain/host.ts";
import type { HostId, JobId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import { hasLabels, LABELS } from "./host-labels.ts";
import { toJob } from "./job-rows.ts";
import type { Db } from "./schema.ts";
import { SEQUENCE_FLOOR } from "./sequence-floor.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** Where a page of hosts begins: after this one, by hostname, then id. */
export interface HostCursor {
  readonly hostname: string;
  readonly id: HostId;
}

const IS_ONLINE = sql<boolean>`(hosts.offline_at is null or hosts.offline_at > clock_timestamp())`;
const TARGET = sql<string | null>`(select version from target_versions where package = ${AGENT_PACKAGE})`;

const TARGET_REVISION = sql<number | null>`(
  select releases.install_revision from releases
  join target_versions on target_versions.package = releases.package and target_versions.version = releases.version
  where releases.package = ${AGENT_PACKAGE})`;

/** Of the target's artifacts. Hangs on no host, so the database looks once a question. */
const QUARANTINED_PLATFORMS = sql<readonly string[]>`array(
  select artifact.platform from release_artifacts as artifact
  join target_versions on target_versions.package = artifact.package and target_versions.version = artifact.version
  join quarantined_artifacts on quarantined_artifacts.sha256 = artifact.sha256
  where artifact.package = ${AGENT_PACKAGE})`;

/** One that was enrolled before a row of `hosts` and has its hostname: the first by id. Neither is archived. */
const SAME_HOSTNAME_AS = sql<HostId | null>`(
  select former.id from hosts as former
  where former.hostname = hosts.hostname and former.removed_at is null and former.archived_at is null
    and hosts.archived_at is null and (former.enrolled_at, former.id) < (hosts.enrolled_at, hosts.id)
  order by former.id limit 1)`;

/** Adds a host that just enrolled. It is offline until its first Hello. */
export async function insertHost(
  db: Executor,
  host: { readonly id: HostId; readonly hostname: string; readonly os: string; readonly arch: string },
): Promise<void> {
  await db
    .insertInto("hosts")
    .values({ ...host, packages: "[]", offline_at: sql<Date>`clock_timestamp()` })
    .execute();
}

/**
 * The lowest credential generations that are accepted of these hosts.
 *
 * *Shape*: for each, in order; `undefined` for one that is unknown or removed.
 */
export async function findCredentialGenerations(
  db: Executor,
  hostIds: readonly HostId[],
): Promise<readonly (number | undefined)[]> {
  const rows = await db
    .selectFrom("hosts")
    .select(["id", "credential_generation"])
    .where("id", "=", sql<HostId>`any(${hostIds}::uuid[])`)
    .where("removed_at", "is", null)
    .execute();
  const found = new Map(rows.map((row) => [row.id, row.credential_generation]));
  return hostIds.map((hostId) => found.get(hostId));
}

function hostQuery(db: Executor) {
  return db
    .selectFrom("hosts")
    .selectAll("hosts")
    .select([
      IS_ONLINE.as("is_online"),
      LABELS.as("labels"),
      SAME_HOSTNAME_AS.as("same_hostname_as"),
      TARGET.as("target_version"),
      TARGET_REVISION.as("target_revision"),
      QUARANTINED_PLATFORMS.as("quarantined_platforms"),
    ])
    .where("hosts.removed_at", "is", null);
}

/** A page of hosts that have all of these labels, by hostname, then id: archived ones, others, or all where that is not said. */
export async function listHosts(
  db: Executor,
  query: {
    readonly after?: HostCursor;
    readonly labels?: Labels;
    readonly isArchived?: boolean;
    readonly limit: number;
  },
): Promise<readonly Host[]> {
  let hosts = hostQuery(db).where(hasLabels(query.labels ?? []));
  if (query.isArchived !== undefined) hosts = hosts.where("archived_at", query.isArchived ? "is not" : "is", null);
  if (query.after !== undefined) {
    hosts = hosts.where(sql<boolean>`(hosts.hostname, hosts.id) > (${query.after.hostname}, ${query.after.id}::uuid)`);
  }
  return withLatestJobs(db, await hosts.orderBy("hostname").orderBy("id").limit(query.limit).execute());
}

/** These hosts, in no particular order; those that are unknown or removed are left out. */
export async function findHosts(db: Executor, ids: readonly HostId[]): Promise<readonly Host[]> {
  if (ids.length === 0) return [];
  return withLatestJobs(
    db,
    await hostQuery(db)
      .where("hosts.id", "in", [...ids])
      .execute(),
  );
}

type HostRow = Awaited<ReturnType<ReturnType<typeof hostQuery>["execute"]>>[number];

async function withLatestJobs(db: Executor, rows: readonly HostRow[]): Promise<readonly Host[]> {
  if (rows.length === 0) return [];
  const jobs = await db
    .selectFrom("jobs")
    .distinctOn("host_id")
    .selectAll()
    .where(
      "host_id",
      "in",
      rows.map((row) => row.id),
    )
    .orderBy("host_id")
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .execute();
  const latest = new Map(jobs.map((job) => [job.host_id, toJob(job)]));
  return rows.map((row) => ({
    id: row.id,
    hostname: row.hostname,
    displayName: row.display_name,
    labels: row.labels,
    os: row.os,
    arch: row.arch,
    agentVersion: row.agent_version,
    packages: row.packages,
    installRevision: row.install_revision,
    needsReinstall: needsReinstall(row.install_revision, row.target_revision ?? 0),
    isTargetQuarantined: row.quarantined_platforms.includes(platformOf(row)),
    isOnline: row.is_online,
    isIdentityDuplicated: row.identity_duplicated_at !== null,
    targetVersion: row.target_version,
    enrolledAt: row.enrolled_at,
    lastSeenAt: row.last_seen_at,
    archivedAt: row.archived_at,
    replacedAt: row.replaced_at,
    sameHostnameAs: row.same_hostname_as,
    latestJob: latest.get(row.id) ?? null,
    sequenceFloor: Number(row.sequence_floor),
    keysSequence: Number(row.keys_sequence),
  }));
}

/** How many hosts there are of each kind. */
export async function countHosts(db: Executor): Promise<HostCounts> {
  const counts = await db
    .selectFrom("hosts")
    .select([
      sql<bigint>`count(*)`.as("total"),
      sql<bigint>`count(*) filter (where ${IS_ONLINE})`.as("online"),
      sql<bigint>`count(*) filter (where agent_version is distinct from ${TARGET} and ${TARGET} is not null)`.as(
        "behind",
      ),
    ])
    .where("removed_at", "is", null)
    .where("archived_at", "is", null)
    // From the open jobs, which are few, rather than host by host: this is asked with every change of the fleet.
    .select((row) =>
      row
        .selectFrom("jobs")
        .innerJoin("hosts as busy", "busy.id", "jobs.host_id")
        .select(sql<bigint>`count(*)`.as("n"))
        .where("jobs.ended_at", "is", null)
        .where("busy.removed_at", "is", null)
        .as("updating"),
    )
    .select((row) =>
      row.selectFrom("alerts").select(sql<bigint>`count(*)`.as("n")).where("resolved_at", "is", null).as("open_alerts"),
    )
    .executeTakeFirstOrThrow();
  return {
    total: Number(counts.total),
    online: Number(counts.online),
    behind: Number(counts.behind),
    updating: Number(counts.updating),
    openAlerts: Number(counts.open_alerts),
  };
}

/** Everything that decides whether a host may be updated now, with the host's row locked. */
export interface LockedFacts extends DispatchFacts {
  readonly manifestSha256: Uint8Array | undefined;
}

/** A host, and the version to bring it to; the target version when that is not given. */
export interface Destination {
  readonly hostId: HostId;
  readonly toVersion: string | undefined;
}

/**
 * Locks hosts for dispatch and reads what decides it.
 *
 * *Shape*: for each, in order; `undefined` for a host that is unknown or removed.
 */
export async function lockDispatchFacts(
  tx: Transaction<Db>,
  destinations: readonly Destination[],
): Promise<readonly (LockedFacts | undefined)[]> {
  const hostIds = destinations.map(({ hostId }) => hostId);
  const rows = await hostQuery(tx)
    .select(SEQUENCE_FLOOR.as("next_floor"))
    .where("hosts.id", "in", hostIds)
    .orderBy("hosts.id")
    .forNoKeyUpdate("hosts")
    .execute();
  const hosts = new Map(rows.map((row) => [row.id, row]));
  // Asked once the hosts are locked: a job that was being written meanwhile is seen.
  const open = await tx
    .selectFrom("jobs")
    .select(["id", "host_id"])
    .where("host_id", "in", hostIds)
    .where("ended_at", "is", null)
    .execute();
  const openJobs = new Map(open.map((job) => [job.host_id, job.id satisfies JobId]));
  const versionOf = ({ hostId, toVersion }: Destination) => toVersion ?? hosts.get(hostId)?.target_version ?? undefined;
  const releases = await findReleasesToSend(tx, new Set(destinations.map((one) => versionOf(one) ?? "")));
  return destinations.map((destination) => {
    const host = hosts.get(destination.hostId);
    if (host === undefined) return undefined;
    const version = versionOf(destination);
    const release = releases.find((one) => one.version === version);
    const artifact = releases.find((one) => one.version === version && one.platform === platformOf(host));
    return {
      isArchived: host.archived_at !== null,
      isOffline: !host.is_online,
      isIdentityDuplicated: host.identity_duplicated_at !== null,
      agentVersion: host.agent_version ?? "",
      platform: platformOf(host),
      targetVersion: version,
      openJobId: openJobs.get(host.id),
      artifactSha256: artifact?.sha256 ?? undefined,
      isQuarantined: artifact?.quarantined_at != null,
      sequenceFloor: Number(host.next_floor),
      greatestFloor: release && greatestFloorOf(release),
      installRevision: host.install_revision,
      expectedRevision: release?.install_revision ?? 0,
      manifestSha256: release?.manifest_sha256,
    };
  });
}

/** These releases, with a row for each of their artifacts, or one without. Whoever removes one waits for this transaction. */
async function findReleasesToSend(tx: Transaction<Db>, versions: ReadonlySet<string>) {
  return await tx
    .selectFrom("releases")
    .leftJoin("release_artifacts", (join) =>
      join
        .onRef("release_artifacts.package", "=", "releases.package")
        .onRef("release_artifacts.version", "=", "releases.version"),
    )
    .leftJoin("quarantined_artifacts", "quarantined_artifacts.sha256", "release_artifacts.sha256")
    .select([
      "releases.version",
      "releases.manifest_sha256",
      "releases.sequence",
      "releases.permitted_floor",
      "releases.install_revision",
      "release_artifacts.platform",
      "release_artifacts.sha256",
      "quarantined_artifacts.quarantined_at",
    ])
    .where("releases.package", "=", AGENT_PACKAGE)
    .where("releases.version", "in", [...versions])
    .forKeyShare("releases")
    .execute();
}

/** The highest sequence floor of a host that takes a release. */
function greatestFloorOf(release: { readonly sequence: bigint; readonly permitted_floor: bigint }): number {
  return Math.max(Number(release.sequence), Number(release.permitted_floor));
}

/** Hosts whose sequence floor is above what a release may have: they would refuse it. */
export async function findRefusingHosts(
  db: Executor,
  sequence: number,
  permittedFloor: number,
  limit: number,
): Promise<{ readonly count: number; readonly hostnames: readonly string[]; readonly highestFloor: number }> {
  const refusing = db
    .selectFrom("hosts")
    .where("removed_at", "is", null)
    .where("archived_at", "is", null)
    .where(SEQUENCE_FLOOR, ">", BigInt(Math.max(sequence, permittedFloor)));
  const total = await refusing
    .select([sql<bigint>`count(*)`.as("count"), sql<bigint | null>`max(${SEQUENCE_FLOOR})`.as("highest")])
    .executeTakeFirstOrThrow();
  const named = await refusing.select("hostname").orderBy("hostname").orderBy("id").limit(limit).execute();
  return {
    count: Number(total.count),
    hostnames: named.map(({ hostname }) => hostname),
    highestFloor: Number(total.highest ?? 0),
  };
}

/** Removes a host: it is listed no more and its credential is refused. False when it is unknown or was removed already. */
export async function removeHost(tx: Transaction<Db>, hostId: HostId): Promise<boolean> {
  const row = await tx
    .updateTable("hosts")
    .set({ removed_at: sql<Date>`clock_timestamp()` })
    .where("id", "=", hostId)
    .where("removed_at", "is", null)
    .returning("id")
    .executeTakeFirst();
  return row !== undefined;
}

/** Notes that a newer generation of a credential is in use; older ones are refused from now on. */
export async function acceptGeneration(db: Executor, hostId: HostId, generation: number): Promise<void> {
  await db
    .updateTable("hosts")
    .set({ credential_generation: generation, credential_rotated_at: sql<Date>`clock_timestamp()` })
    .where("id", "=", hostId)
    .where("credential_generation", "<", generation)
    .execute();
}

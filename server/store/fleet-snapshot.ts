/** The snapshot that a fleet update is planned from: three questions, whatever the fleet's size, and no row of a host that needs nothing. */
import { sql, type Kysely } from "kysely";
import { findDispatchRefusal, type DispatchRefusal } from "../domain/dispatch-check.ts";
import { platformOf } from "../domain/host.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import type { JobDetails } from "../domain/job-reason.ts";
import type { JobStateName } from "../domain/job-state.ts";
import type { FleetSnapshot, PlannedHost } from "../domain/plan-fleet-update.ts";
import { findFleetUpdates } from "./fleet-updates.ts";
import { toJobState } from "./job-rows.ts";
import type { Db } from "./schema.ts";
import { SEQUENCE_FLOOR } from "./sequence-floor.ts";

/** Hosts that a snapshot holds beyond those that may be in flight. */
const LOOK_AHEAD = 50;

interface HostRow {
  host_id: HostId;
  state: "pending" | "updating";
  job_id: JobId | null;
  job_state: JobStateName | null;
  job_reason: string | null;
  job_details: JobDetails | null;
  removed: boolean | null;
  os: string;
  arch: string;
  agent_version: string | null;
  is_archived: boolean;
  is_online: boolean;
  is_duplicated: boolean;
  open_job_id: JobId | null;
  sha256: string | null;
  quarantined: boolean;
  sequence_floor: bigint;
  greatest_floor: bigint | null;
  install_revision: number;
  expected_revision: number | null;
}

/** Loads a fleet update as it stands; `undefined` when it is unknown. */
export async function loadFleetSnapshot(db: Kysely<Db>, id: FleetUpdateId): Promise<FleetSnapshot | undefined> {
  const [update] = await findFleetUpdates(db, [id]);
  if (update === undefined) return undefined;
  const isRunning = update.state === "running";
  const { underWay, failures, lastFailure } = await tallyProgress(db, id, isRunning);
  const limit = Math.max(0, update.policy.maxInFlight - underWay) + LOOK_AHEAD;
  const { rows } = await sql<HostRow>`
    with turn as (
      (select * from fleet_update_hosts as place where fleet_update_id = ${id} and state = 'updating'
        and not (${isRunning} and ${IS_UNDER_WAY}))
      union all
      (select * from fleet_update_hosts where fleet_update_id = ${id} and state = 'pending' order by position limit ${limit + 1})
    )
    select turn.host_id, turn.state, turn.job_id, own.state as job_state, own.reason as job_reason, own.details as job_details,
      hosts.removed_at is not null as removed, hosts.os, hosts.arch, hosts.agent_version,
      hosts.archived_at is not null as is_archived, (hosts.offline_at is null or hosts.offline_at > clock_timestamp()) as is_online,
      hosts.identity_duplicated_at is not null as is_duplicated,
      (select open.id from jobs as open where open.host_id = turn.host_id and open.ended_at is null) as open_job_id,
      artifact.sha256, exists (select from quarantined_artifacts as q where q.sha256 = artifact.sha256) as quarantined,
      hosts.install_revision, release.install_revision as expected_revision,
      ${SEQUENCE_FLOOR} as sequence_floor, greatest(release.sequence, release.permitted_floor) as greatest_floor
    from turn
    join hosts on hosts.id = turn.host_id
    left join jobs as own on own.id = turn.job_id
    left join release_artifacts as artifact on artifact.package = ${update.package}
      and artifact.version = ${update.toVersion} and artifact.platform = hosts.os || '-' || hosts.arch
    left join releases as release on release.package = ${update.package} and release.version = ${update.toVersion}
    order by turn.position
  `.execute(db);
  const pending = rows.filter((row) => row.state === "pending");
  const held = [...rows.filter((row) => row.state === "updating"), ...pending.slice(0, limit)];
  return {
    state: update.state,
    policy: update.policy,
    failures,
    lastFailure,
    hosts: held.map((row) => toPlannedHost(row, update.toVersion)),
    underWay,
    hasMorePending: pending.length > limit,
  };
}

/** Of a place whose host is updating. */
const IS_UNDER_WAY = sql<boolean>`exists (select from jobs where jobs.id = place.job_id and jobs.ended_at is null)`;

/** How many hosts need nothing now while it runs, and which failed. A job may end after this was read: then its host is counted here, and listed too. */
async function tallyProgress(
  db: Kysely<Db>,
  id: FleetUpdateId,
  isRunning: boolean,
): Promise<Pick<FleetSnapshot, "underWay" | "failures" | "lastFailure">> {
  const { rows } = await sql<{ under_way: bigint; failures: bigint; host_id: HostId | null; reason: string | null }>`
    select
      (select count(*) from fleet_update_hosts as place
        where fleet_update_id = ${id} and state = 'updating' and ${isRunning} and ${IS_UNDER_WAY}) as under_way,
      (select count(*) from fleet_update_hosts where fleet_update_id = ${id} and state = 'failed') as failures,
      last.host_id, last.reason
    from (values (1)) as one left join lateral (
      select host_id, reason from fleet_update_hosts where fleet_update_id = ${id} and state = 'failed'
      order by changed_at desc limit 1
    ) as last on true
  `.execute(db);
  const [row] = rows;
  return {
    underWay: Number(row?.under_way ?? 0),
    failures: Number(row?.failures ?? 0),
    lastFailure: row?.host_id == null ? undefined : { hostId: row.host_id, reason: row.reason ?? "" },
  };
}

function toPlannedHost(row: HostRow, toVersion: string): PlannedHost {
  return {
    hostId: row.host_id,
    state: row.state,
    job:
      row.job_id === null || row.job_state === null
        ? undefined
        : { id: row.job_id, state: toJobState(jobFacts(row, row.job_state)) },
    refusal: row.state === "pending" ? refusalOf(row, toVersion) : undefined,
  };
}

function jobFacts(row: HostRow, state: JobStateName) {
  // Byte counts decide nothing here.
  return { state, reason: row.job_reason, details: row.job_details ?? {}, bytes_done: 0n, bytes_total: 0n };
}

function refusalOf(row: HostRow, toVersion: string): DispatchRefusal | { readonly reason: "host_removed" } | undefined {
  if (row.removed === true) return { reason: "host_removed" };
  return findDispatchRefusal(
    {
      isArchived: row.is_archived,
      isOffline: !row.is_online,
      isIdentityDuplicated: row.is_duplicated,
      agentVersion: row.agent_version ?? "",
      platform: platformOf(row),
      targetVersion: toVersion,
      openJobId: row.open_job_id ?? undefined,
      artifactSha256: row.sha256 ?? undefined,
      isQuarantined: row.quarantined,
      sequenceFloor: Number(row.sequence_floor),
      greatestFloor: row.greatest_floor === null ? undefined : Number(row.greatest_floor),
      installRevision: row.install_revision,
      expectedRevision: row.expected_revision ?? 0,
    },
    false,
  );
}

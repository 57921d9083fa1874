/** Job rows, to the domain's words and back. */
import type { Selectable } from "kysely";
import type { JobReason, RollbackReason } from "../domain/job-reason.ts";
import type { Job } from "../domain/job.ts";
import type { JobState } from "../domain/job-state.ts";
import type { JobsTable } from "./schema.ts";

/** A row as the domain knows it. */
export function toJob(row: Selectable<JobsTable>): Job {
  return {
    id: row.id,
    hostId: row.host_id,
    kind: "update",
    package: row.package,
    fromVersion: row.from_version,
    toVersion: row.to_version,
    manifestSha256: row.manifest_sha256,
    state: toJobState(row),
    bytesDone: Number(row.bytes_done),
    bytesTotal: Number(row.bytes_total),
    bytesDelivered: Number(row.bytes_delivered),
    bytesSaved: Number(row.bytes_saved),
    ignoreQuarantine: row.ignore_quarantine,
    fleetUpdateId: row.fleet_update_id,
    requestedBy: row.requested_by,
    createdAt: row.created_at,
    changedAt: row.changed_at,
    committedAt: row.committed_at,
    endedAt: row.ended_at,
    deadlineAt: row.deadline_at,
  };
}

/** The state of a row, with the facts that hold in it. */
export function toJobState(
  row: Pick<Selectable<JobsTable>, "state" | "reason" | "details" | "bytes_done" | "bytes_total">,
): JobState {
  switch (row.state) {
    case "downloading":
      return { name: row.state, bytesDone: Number(row.bytes_done), bytesTotal: Number(row.bytes_total) };
    case "failed":
      return { name: row.state, reason: row.reason as JobReason, details: row.details };
    case "rolled_back":
      return { name: row.state, reason: row.reason as RollbackReason, details: row.details };
    default:
      return { name: row.state };
  }
}

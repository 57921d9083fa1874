/** Hosts and jobs as they go on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  HostCountsSchema,
  HostSchema,
  HostStatus,
  JobSchema,
  type Host as WireHost,
  type HostCounts as WireCounts,
  type Job as WireJob,
} from "../../gen/rollcall/v1/model_pb.js";
import { isBehind, platformOf, type Host, type HostCounts } from "../domain/host.ts";
import type { Job } from "../domain/job.ts";
import { toWireLabels } from "../wire/wire-labels.ts";
import { toWireDetails, toWireReason, toWireState } from "../wire/job-words.ts";

/** A job as it goes on the wire. */
export function toWireJob(job: Job): WireJob {
  const { state } = job;
  const hasReason = state.name === "failed" || state.name === "rolled_back";
  return create(JobSchema, {
    id: job.id,
    hostId: job.hostId,
    kind: job.kind,
    package: job.package,
    fromVersion: job.fromVersion,
    toVersion: job.toVersion,
    state: toWireState(state.name),
    reason: toWireReason(hasReason ? state.reason : null),
    ...(hasReason ? { details: toWireDetails(state.details) } : {}),
    bytesDone: BigInt(job.bytesDone),
    bytesTotal: BigInt(job.bytesTotal),
    bytesDelivered: BigInt(job.bytesDelivered),
    bytesSaved: BigInt(job.bytesSaved),
    fleetUpdateId: job.fleetUpdateId ?? "",
    requestedBy: job.requestedBy,
    ignoreQuarantine: job.ignoreQuarantine,
    createdAt: timestampFromDate(job.createdAt),
    changedAt: timestampFromDate(job.changedAt),
    ...instant("committedAt", job.committedAt),
    ...instant("endedAt", job.endedAt),
    ...instant("deadlineAt", job.deadlineAt),
  });
}

/** A host as it goes on the wire. */
export function toWireHost(host: Host): WireHost {
  return create(HostSchema, {
    id: host.id,
    hostname: host.hostname,
    displayName: host.displayName,
    labels: toWireLabels(host.labels),
    os: host.os,
    arch: host.arch,
    platform: platformOf(host),
    agentVersion: host.agentVersion ?? "",
    status: host.isOnline ? HostStatus.ONLINE : HostStatus.OFFLINE,
    targetVersion: host.targetVersion ?? "",
    updateAvailable: host.archivedAt === null && isBehind(host.agentVersion, host.targetVersion),
    packages: host.packages.map((entry) => ({ ...entry })),
    installRevision: host.installRevision,
    needsReinstall: host.needsReinstall,
    targetQuarantined: host.isTargetQuarantined,
    enrolledAt: timestampFromDate(host.enrolledAt),
    ...instant("lastSeenAt", host.lastSeenAt),
    ...instant("archivedAt", host.archivedAt),
    ...instant("replacedAt", host.replacedAt),
    sameHostnameAs: host.sameHostnameAs ?? "",
    ...(host.latestJob === null ? {} : { latestJob: toWireJob(host.latestJob) }),
    identityDuplicated: host.isIdentityDuplicated,
    sequenceFloor: BigInt(host.sequenceFloor),
    keysSequence: BigInt(host.keysSequence),
  });
}

/** Counts as they go on the wire. */
export function toWireCounts(counts: HostCounts): WireCounts {
  return create(HostCountsSchema, counts);
}

function instant<Name extends string>(name: Name, at: Date | null) {
  return at === null ? {} : ({ [name]: timestampFromDate(at) } as Record<Name, ReturnType<typeof timestampFromDate>>);
}

/** Fleet updates as they go on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  FleetUpdateHostSchema,
  FleetUpdateHostState,
  FleetUpdateSchema,
  FleetUpdateState as WireState,
  OfflinePolicy as WireOffline,
  type FleetUpdate as WireFleetUpdate,
  type FleetUpdateHost as WireFleetHost,
} from "../../gen/rollcall/v1/rollout_pb.js";
import { toWireLabels } from "../wire/wire-labels.ts";
import type { FleetHost, FleetHostState, FleetTally, FleetUpdate, FleetUpdateState } from "../domain/fleet-update.ts";

const STATES: Readonly<Record<FleetUpdateState, WireState>> = {
  running: WireState.RUNNING,
  completed: WireState.COMPLETED,
  halted: WireState.HALTED,
  cancelled: WireState.CANCELLED,
};

const HOST_STATES: Readonly<Record<FleetHostState, FleetUpdateHostState>> = {
  pending: FleetUpdateHostState.PENDING,
  updating: FleetUpdateHostState.UPDATING,
  succeeded: FleetUpdateHostState.SUCCEEDED,
  failed: FleetUpdateHostState.FAILED,
  skipped: FleetUpdateHostState.SKIPPED,
  cancelled: FleetUpdateHostState.CANCELLED,
};

/** A fleet update as it goes on the wire. */
export function toWireFleetUpdate(update: FleetUpdate, tally: FleetTally | undefined): WireFleetUpdate {
  return create(FleetUpdateSchema, {
    id: update.id,
    package: update.package,
    toVersion: update.toVersion,
    state: STATES[update.state],
    policy: {
      maxInFlight: update.policy.maxInFlight,
      maxFailures: update.policy.maxFailures,
      offline: update.policy.offline === "skip" ? WireOffline.SKIP : WireOffline.HALT,
    },
    labels: toWireLabels(update.labels),
    startedBy: update.startedBy,
    retryOf: update.retryOf ?? "",
    createdAt: timestampFromDate(update.createdAt),
    changedAt: timestampFromDate(update.changedAt),
    ...(update.endedAt === null ? {} : { endedAt: timestampFromDate(update.endedAt) }),
    haltedHostId: update.halt?.hostId ?? "",
    haltReason: update.halt?.reason ?? "",
    ...(tally && toWireTally(tally)),
  });
}

function toWireTally({ hosts, bytesDelivered, bytesSaved }: FleetTally) {
  return {
    counts: { ...hosts, total: Object.values(hosts).reduce((sum, count) => sum + count, 0) },
    bytesDelivered: BigInt(bytesDelivered),
    bytesSaved: BigInt(bytesSaved),
  };
}

/** A host's place as it goes on the wire. */
export function toWireFleetHost(host: FleetHost): WireFleetHost {
  return create(FleetUpdateHostSchema, {
    hostId: host.hostId,
    hostname: host.hostname,
    position: host.position,
    state: HOST_STATES[host.state],
    reason: host.reason ?? "",
    fromVersion: host.fromVersion ?? "",
    jobId: host.jobId ?? "",
  });
}

import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { OfflinePolicy, type FleetUpdatePolicy as WirePolicy } from "../../gen/rollcall/v1/rollout_pb.js";
import { RefusedError } from "../domain/errors.ts";
import type { FleetHost, FleetTally, FleetUpdate, FleetUpdatePolicy } from "../domain/fleet-update.ts";
import { countFleetHosts } from "../domain/fleet-update.ts";
import type { FleetUpdateId, HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import { fromWireLabels } from "../wire/wire-labels.ts";
import { callerKey } from "./caller.ts";
import { cutPage, decodeInstantToken, pageSize } from "./page-token.ts";
import { toWireFleetHost, toWireFleetUpdate } from "./wire-rollout.ts";

/** What the handlers read. */
export interface RolloutReader {
  findFleetUpdates(ids: readonly FleetUpdateId[]): Promise<readonly FleetUpdate[]>;
  tallyHostsOf(ids: readonly FleetUpdateId[]): Promise<ReadonlyMap<FleetUpdateId, FleetTally>>;
  listHostsOf(id: FleetUpdateId): Promise<readonly FleetHost[]>;
  listFleetUpdates(query: {
    readonly after?: { readonly createdAt: Date; readonly id: FleetUpdateId };
    readonly limit: number;
  }): Promise<readonly FleetUpdate[]>;
}

/** Where fleet updates are asked for and called off. */
export interface RolloutPort {
  start(request: {
    readonly hostIds: readonly HostId[];
    readonly labels: Labels;
    readonly retryOf: FleetUpdateId | null;
    readonly policy: FleetUpdatePolicy;
    readonly startedBy: string;
    readonly validateOnly: boolean;
  }): Promise<{ readonly update: FleetUpdate; readonly hosts: readonly FleetHost[] }>;
  cancel(id: FleetUpdateId, actor: string): Promise<FleetUpdate>;
}

/** What the handlers work with. */
export interface RolloutParts {
  readonly reader: RolloutReader;
  readonly rollout: RolloutPort;
}

/** Fleet updates. */
export function createRolloutHandlers({ reader, rollout }: RolloutParts) {
  return {
    async startFleetUpdate(request, context) {
      const { update, hosts } = await rollout.start({
        hostIds: request.hostIds as HostId[],
        labels: fromWireLabels(request.labels, "labels"),
        retryOf: request.retryOf === "" ? null : (request.retryOf as FleetUpdateId),
        policy: toPolicy(request.policy),
        startedBy: context.values.get(callerKey).name,
        validateOnly: request.validateOnly,
      });
      const tally = { hosts: countFleetHosts(hosts), bytesDelivered: 0, bytesSaved: 0 };
      return { fleetUpdate: toWireFleetUpdate(update, tally), hosts: hosts.map(toWireFleetHost) };
    },

    async cancelFleetUpdate(request, context) {
      const update = await rollout.cancel(request.fleetUpdateId as FleetUpdateId, context.values.get(callerKey).name);
      const tallies = await reader.tallyHostsOf([update.id]);
      return { fleetUpdate: toWireFleetUpdate(update, tallies.get(update.id)) };
    },

    async getFleetUpdate(request) {
      const id = request.fleetUpdateId as FleetUpdateId;
      const [update] = await reader.findFleetUpdates([id]);
      if (update === undefined) {
        throw new RefusedError("fleet_update_unknown", `There is no fleet update ${id}.`, { fleet_update_id: id });
      }
      const [hosts, tallies] = await Promise.all([reader.listHostsOf(id), reader.tallyHostsOf([id])]);
      return { fleetUpdate: toWireFleetUpdate(update, tallies.get(id)), hosts: hosts.map(toWireFleetHost) };
    },

    async listFleetUpdates(request) {
      const limit = pageSize(request.pageSize);
      const token = decodeInstantToken(request.pageToken);
      const after = token && { after: { createdAt: token.at, id: token.id as FleetUpdateId } };
      const updates = await reader.listFleetUpdates({ ...after, limit: limit + 1 });
      const { page, nextPageToken } = cutPage(updates, limit, (last) => [last.createdAt.toISOString(), last.id]);
      const tallies = await reader.tallyHostsOf(page.map((update) => update.id));
      return { fleetUpdates: page.map((update) => toWireFleetUpdate(update, tallies.get(update.id))), nextPageToken };
    },
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}

/** Host by host, halting at the first failure or offline host, unless something else is asked for. */
function toPolicy(policy: WirePolicy | undefined): FleetUpdatePolicy {
  return {
    maxInFlight: policy?.maxInFlight || 1,
    maxFailures: policy?.maxFailures ?? 0,
    offline: policy?.offline === OfflinePolicy.SKIP ? "skip" : "halt",
  };
}

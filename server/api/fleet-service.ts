/** FleetService: what operators and other services ask of the server. The handlers stand in one file a subject. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { createAttentionHandlers, type AttentionParts } from "./attention-handlers.ts";
import { createCatalogHandlers, type CatalogParts } from "./catalog-handlers.ts";
import { createDeliveryHandlers, type DeliveryParts } from "./delivery-handlers.ts";
import { createHostHandlers, type HostParts } from "./host-handlers.ts";
import { createReleaseHandlers, type ReleaseParts } from "./release-handlers.ts";
import { createRolloutHandlers, type RolloutParts } from "./rollout-handlers.ts";
import { createServerHandlers, type ServerParts } from "./server-handlers.ts";

/** What the service works with. */
export type FleetServiceParts = ServerParts &
  HostParts &
  RolloutParts &
  AttentionParts &
  CatalogParts &
  ReleaseParts &
  DeliveryParts;

/** Makes the handlers. Requests were checked against their rules and roles before they come here. */
export function createFleetService(parts: FleetServiceParts): ServiceImpl<typeof FleetService> {
  return {
    ...createServerHandlers(parts),
    ...createHostHandlers(parts),
    ...createRolloutHandlers(parts),
    ...createAttentionHandlers(parts),
    ...createCatalogHandlers(parts),
    ...createReleaseHandlers(parts),
    ...createDeliveryHandlers(parts),
  };
}

import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";

/** Hosts that this server sends blocks to now. */
export interface DeliveryCounts {
  readonly active: number;
  /** Those that wait for their turn. */
  readonly waiting: number;
}

/** What the handler works with. */
export interface DeliveryParts {
  readonly reader: {
    /** *Units*: bytes since the fleet began. */
    sumDeliveries(): Promise<{ readonly bytesDelivered: bigint; readonly bytesSaved: bigint }>;
  };
  readonly deliveryCounts: () => DeliveryCounts;
}

/** What deliveries cost. */
export function createDeliveryHandlers({ reader, deliveryCounts }: DeliveryParts) {
  return {
    async getDelivery() {
      return { ...(await reader.sumDeliveries()), ...deliveryCounts() };
    },
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}

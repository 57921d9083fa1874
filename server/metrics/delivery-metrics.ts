import { Counter, Gauge, type Registry } from "prom-client";
import type { DeliveryAccounts } from "../stream/ports.ts";

/** Hosts that this server sends blocks to now. */
export interface DeliveryCounts {
  readonly active: number;
  /** Those that wait for their turn. */
  readonly waiting: number;
}

/** Blocks of artifacts that are sent to hosts. */
export function createDeliveryMetrics(registry: Registry) {
  const bytes = new Counter({
    name: "rollcall_delivery_bytes_total",
    help: "Bytes of blocks that this server sent to hosts, as they went on the wire.",
    registers: [registry],
  });
  const hosts = new Gauge({
    name: "rollcall_delivery_hosts",
    help: "Hosts that are sent blocks now, and hosts that wait for their turn.",
    labelNames: ["state"],
    registers: [registry],
  });
  return {
    /** The accounts, with what is written down there counted. */
    meterDeliveries: (accounts: DeliveryAccounts): DeliveryAccounts => ({
      async addDelivered(hostId, jobId, delivered) {
        await accounts.addDelivered(hostId, jobId, delivered);
        bytes.inc(delivered);
      },
    }),
    read({ active, waiting }: DeliveryCounts): void {
      hosts.set({ state: "active" }, active);
      hosts.set({ state: "waiting" }, waiting);
    },
  };
}

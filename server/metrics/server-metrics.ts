/**
 * The numbers of one server process, for Prometheus. Each has a fixed set of label
 * values, all of which are there from the start: how many series there are depends on
 * neither the fleet nor the time. So no label ever names a host, a user or a version
 * of an agent.
 */
import { Gauge, Registry } from "prom-client";
import type { Clock } from "../domain/clock.ts";
import { createDatabaseMetrics } from "./database-metrics.ts";
import { createDeliveryMetrics, type DeliveryCounts } from "./delivery-metrics.ts";
import { createFleetMetrics, type FleetReader } from "./fleet-metrics.ts";
import { createJobMetrics } from "./job-metrics.ts";
import { createProcessMetrics } from "./process-metrics.ts";
import { createStreamMetrics, type StreamCounts } from "./stream-metrics.ts";

/** What others count anyway, read when somebody asks. */
export interface MetricSources {
  readonly streams: () => StreamCounts;
  readonly deliveries: () => DeliveryCounts;
  readonly reader: FleetReader;
}

/** Makes the numbers; disposing ends what is measured all the time. */
export function createServerMetrics(version: string, clock: Clock) {
  const registry = new Registry();
  const build = new Gauge({
    name: "rollcall_build_info",
    help: "1, labelled with the server's version.",
    labelNames: ["version"],
    registers: [registry],
  });
  build.set({ version }, 1);
  const streams = createStreamMetrics(registry, clock);
  const jobs = createJobMetrics(registry);
  const deliveries = createDeliveryMetrics(registry);
  const database = createDatabaseMetrics(registry);
  const fleet = createFleetMetrics(registry);
  const processMetrics = createProcessMetrics(registry);
  return {
    /** Told of every request that was refused. */
    refused: streams.refused,
    meterHellos: streams.meterHellos,
    /** Told of every change of a job that was stored. */
    jobChanged: jobs.jobChanged,
    meterDeliveries: deliveries.meterDeliveries,
    meterDatabase: database.meterDatabase,
    contentType: registry.contentType,
    /** All numbers as they are now, in Prometheus's text format. */
    async render(sources: MetricSources): Promise<string> {
      streams.read(sources.streams());
      deliveries.read(sources.deliveries());
      database.read();
      processMetrics.read();
      await fleet.read(sources.reader);
      return registry.metrics();
    },
    [Symbol.dispose]: () => processMetrics[Symbol.dispose](),
  };
}

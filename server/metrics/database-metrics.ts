import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { PoolCounts, PoolMeter, PoolPurpose } from "./ports.ts";

const PURPOSES: readonly PoolPurpose[] = ["writing", "reading", "lease"];
const CONNECTION_STATES = ["busy", "idle", "waited_for"] as const;
/** *Units*: seconds. */
const QUERY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const NO_CONNECTION: PoolCounts = { total: 0, idle: 0, waiting: 0 };

/** Time spent on the database, and who waits for it. */
export function createDatabaseMetrics(registry: Registry) {
  const seconds = new Histogram({
    name: "rollcall_database_query_duration_seconds",
    help: "Statements of this server, from sending one to its answer; begin and commit are statements too.",
    labelNames: ["pool"],
    buckets: QUERY_BUCKETS,
    registers: [registry],
  });
  const failures = new Counter({
    name: "rollcall_database_query_failures_total",
    help: "Statements that failed.",
    labelNames: ["pool"],
    registers: [registry],
  });
  const connections = new Gauge({
    name: "rollcall_database_connections",
    help: "Connections to the database, and callers that wait for one.",
    labelNames: ["pool", "state"],
    registers: [registry],
  });
  const counts = new Map<PoolPurpose, () => PoolCounts>();
  for (const pool of PURPOSES) {
    seconds.zero({ pool });
    failures.inc({ pool }, 0);
  }
  return {
    meterDatabase: (pool: PoolPurpose): PoolMeter => {
      const child = seconds.labels({ pool });
      return {
        opened: (count) => void counts.set(pool, count),
        queried(durationMs, succeeded) {
          child.observe(durationMs / 1_000);
          if (!succeeded) failures.inc({ pool });
        },
      };
    },
    read(): void {
      for (const pool of PURPOSES) {
        const { total, idle, waiting } = counts.get(pool)?.() ?? NO_CONNECTION;
        const values = { busy: total - idle, idle, waited_for: waiting };
        for (const state of CONNECTION_STATES) connections.set({ pool, state }, values[state]);
      }
    },
  };
}

import { Counter, type Registry } from "prom-client";
import type { Job } from "../domain/job.ts";
import { JOB_REASONS, ROLLBACK_REASONS } from "../domain/job-reason.ts";

/** How updates end. Those under way are in the database, see FleetMetrics. */
export function createJobMetrics(registry: Registry) {
  const ended = new Counter({
    name: "rollcall_jobs_ended_total",
    help: "Updates that ended on this server, by state and reason. One that failed because its agent was lost may count as rolled back later.",
    labelNames: ["state", "reason"],
    registers: [registry],
  });
  for (const state of ["succeeded", "cancelled"]) ended.inc({ state, reason: "" }, 0);
  for (const reason of JOB_REASONS) ended.inc({ state: "failed", reason }, 0);
  for (const reason of ROLLBACK_REASONS) ended.inc({ state: "rolled_back", reason }, 0);
  return {
    jobChanged: ({ state, endedAt }: Job): void => {
      if (endedAt !== null) ended.inc({ state: state.name, reason: "reason" in state ? state.reason : "" });
    },
  };
}

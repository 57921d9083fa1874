/**
 * The fleet as the database has it: the numbers of screen and API, by the same
 * questions. Every server on one database tells the same ones.
 */
import { Gauge, type Registry } from "prom-client";
import { UnavailableError } from "../domain/errors.ts";
import type { HostCounts } from "../domain/host.ts";
import { OPEN_JOB_STATES, type JobStateName } from "../domain/job-state.ts";

/** Where the numbers come from. */
export interface FleetReader {
  countHosts(): Promise<HostCounts>;
  /** *Shape*: no entry for a state that no open job is in. */
  countOpenJobs(): Promise<ReadonlyMap<JobStateName, number>>;
}

/** Hosts, alerts and updates under way. */
export function createFleetMetrics(registry: Registry) {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] });
  const hosts = {
    total: gauge("rollcall_hosts", "Hosts of the fleet."),
    online: gauge("rollcall_hosts_online", "Hosts that are online."),
    behind: gauge("rollcall_hosts_behind", "Hosts whose agent is not of the target version."),
    updating: gauge("rollcall_hosts_updating", "Hosts with an update under way."),
    openAlerts: gauge("rollcall_alerts_open", "Alerts that are not resolved."),
  } satisfies Record<keyof HostCounts, Gauge>;
  const openJobs = new Gauge({
    name: "rollcall_jobs_open",
    help: "Updates under way in the whole fleet, by state.",
    labelNames: ["state"],
    registers: [registry],
  });

  function set(counts: HostCounts | undefined, jobs: ReadonlyMap<JobStateName, number> | undefined): void {
    for (const name of Object.keys(hosts) as (keyof HostCounts)[]) hosts[name].set(counts?.[name] ?? Number.NaN);
    for (const state of OPEN_JOB_STATES)
      openJobs.set({ state }, jobs === undefined ? Number.NaN : (jobs.get(state) ?? 0));
  }

  return {
    /** While the database is away these are NaN and all others are told: then they matter most. */
    async read(reader: FleetReader): Promise<void> {
      try {
        const [counts, jobs] = await Promise.all([reader.countHosts(), reader.countOpenJobs()]);
        set(counts, jobs);
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        set(undefined, undefined);
      }
    },
  };
}

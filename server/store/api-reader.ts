/** The store as the API reads it. */
import type { Kysely } from "kysely";
import { AGENT_PACKAGE } from "../domain/host.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import { findAlerts, listAlerts } from "./alerts.ts";
import { listAuditEvents } from "./audit-events.ts";
import { answered } from "./away.ts";
import { listEnrollmentTokens } from "./enrollment-tokens.ts";
import {
  findFleetUpdates,
  listFleetUpdates,
  listHostsOf,
  tallyHostsOf,
  type FleetUpdateCursor,
} from "./fleet-updates.ts";
import { countHosts, findHosts, listHosts } from "./hosts.ts";
import { sumDeliveries } from "./deliveries.ts";
import { findJobLog } from "./job-logs.ts";
import { countOpenJobs, findJob, findJobs, listJobs, type JobCursor } from "./jobs.ts";
import { listReleases } from "./releases.ts";
import type { Db } from "./schema.ts";
import { listAdoption } from "./version-adoption.ts";

/** Binds the questions that change nothing. */
export function createApiReader(db: Kysely<Db>) {
  return {
    listHosts: (query: Parameters<typeof listHosts>[1]) => answered(listHosts(db, query)),
    findHosts: (ids: readonly HostId[]) => answered(findHosts(db, ids)),
    countHosts: () => answered(countHosts(db)),
    countOpenJobs: () => answered(countOpenJobs(db)),
    findJobs: (ids: readonly JobId[]) => answered(findJobs(db, ids)),
    findJob: (id: JobId) => answered(findJob(db, id)),
    findJobLog: (id: JobId) => answered(findJobLog(db, id)),
    listJobs: (query: { readonly hostId?: HostId; readonly after?: JobCursor; readonly limit: number }) =>
      answered(listJobs(db, query)),
    findFleetUpdates: (ids: readonly FleetUpdateId[]) => answered(findFleetUpdates(db, ids)),
    tallyHostsOf: (ids: readonly FleetUpdateId[]) => answered(tallyHostsOf(db, ids)),
    sumDeliveries: () => answered(sumDeliveries(db)),
    listHostsOf: (id: FleetUpdateId) => answered(listHostsOf(db, id)),
    listFleetUpdates: (query: { readonly after?: FleetUpdateCursor; readonly limit: number }) =>
      answered(listFleetUpdates(db, query)),
    findAlerts: (ids: readonly string[]) => answered(findAlerts(db, ids)),
    listAlerts: (query: Parameters<typeof listAlerts>[1]) => answered(listAlerts(db, query)),
    listAuditEvents: (query: Parameters<typeof listAuditEvents>[1]) => answered(listAuditEvents(db, query)),
    listReleases: () => answered(listReleases(db, AGENT_PACKAGE)),
    listEnrollmentTokens: () => answered(listEnrollmentTokens(db)),
    listAdoption: (days: number) => answered(listAdoption(db, days)),
  };
}

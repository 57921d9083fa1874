/** The store as the API reads it. */
import type { Kysely } from "kysely";
import type { HostId, JobId } from "../domain/ids.ts";
import { answered } from "./away.ts";
import { countHosts, findHosts, listHosts, type HostCursor } from "./hosts.ts";
import { findJob, listJobs, type JobCursor } from "./jobs.ts";
import type { Db } from "./schema.ts";

/** Binds the questions about hosts and jobs. */
export function createApiReader(db: Kysely<Db>) {
  return {
    listHosts: (query: { readonly after?: HostCursor; readonly limit: number }) => answered(listHosts(db, query)),
    findHosts: (ids: readonly HostId[]) => answered(findHosts(db, ids)),
    countHosts: () => answered(countHosts(db)),
    findJob: (id: JobId) => answered(findJob(db, id)),
    listJobs: (query: { readonly hostId?: HostId; readonly after?: JobCursor; readonly limit: number }) =>
      answered(listJobs(db, query)),
  };
}

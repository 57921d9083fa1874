/** The store as the release catalog asks for it. */
import type { Kysely } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId, JobId } from "../domain/ids.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import {
  chooseTargetVersion,
  listReleases,
  findJobArtifact,
  followServerVersion,
  insertRelease,
  listReleaseDigests,
  type NewRelease,
} from "./releases.ts";
import type { Db } from "./schema.ts";

/** Binds the questions about releases. */
export function createReleaseStore(db: Kysely<Db>) {
  return {
    listReleaseDigests: (packageName: string) => answered(listReleaseDigests(db, packageName)),
    listReleases: (packageName: string) => answered(listReleases(db, packageName)),
    findJobArtifact: (hostId: HostId, jobId: string) => answered(findJobArtifact(db, hostId, jobId as JobId)),
    transaction<Result>(work: (tx: ReturnType<typeof bindTransaction>) => Promise<Result>): Promise<Result> {
      return answered(db.transaction().execute((tx) => work(bindTransaction(tx))));
    },
  };
}

function bindTransaction(tx: Parameters<typeof insertRelease>[0]) {
  return {
    insertRelease: (release: NewRelease) => insertRelease(tx, release),
    followServerVersion: (packageName: string, version: string) => followServerVersion(tx, packageName, version),
    chooseTargetVersion: (packageName: string, version: string, chosenBy: string | null) =>
      chooseTargetVersion(tx, packageName, version, chosenBy),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}

/** The store as the release catalog asks for it. */
import type { Kysely, Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId, JobId } from "../domain/ids.ts";
import { writeAuditEvent } from "./audit-events.ts";
import type { CheckedRelease } from "../domain/release.ts";
import { answered } from "./away.ts";
import { CoalescedQuestions } from "./coalesced-questions.ts";
import { findRefusingHosts } from "./hosts.ts";
import { findKeySet, saveKeySet, type NewKeySet } from "./key-sets.ts";
import { liftQuarantine } from "./quarantine.ts";
import { findReleaseFiles } from "./release-files.ts";
import { lockReleases, lockReleaseUse, removeRelease, wasRemoved } from "./release-removal.ts";
import {
  chooseTargetVersion,
  findJobArtifacts,
  findNamesakes,
  followServerVersion,
  insertRelease,
  listReleases,
  replaceSignature,
} from "./releases.ts";
import type { Db } from "./schema.ts";

/** Binds the questions about releases. */
export function createReleaseStore(db: Kysely<Db>) {
  // While one question is out, those that come meanwhile gather into the next.
  const questions = new CoalescedQuestions();
  const findArtifactOfJob = questions.add((asked: readonly { readonly hostId: HostId; readonly jobId: JobId }[]) =>
    answered(findJobArtifacts(db, asked)),
  );
  return {
    listReleases: (packageName: string) => answered(listReleases(db, packageName)),
    findKeySet: (packageName: string) => answered(findKeySet(db, packageName)),
    findNamesakes: (packageName: string, version: string, sequence: number) =>
      answered(findNamesakes(db, packageName, version, sequence)),
    findReleaseFiles: (packageName: string, version: string | undefined) =>
      answered(findReleaseFiles(db, packageName, version)),
    findJobArtifact: (hostId: HostId, jobId: string) => findArtifactOfJob({ hostId, jobId: jobId as JobId }),
    transaction<Result>(work: (tx: ReturnType<typeof bindTransaction>) => Promise<Result>): Promise<Result> {
      return answered(db.transaction().execute((tx) => work(bindTransaction(tx))));
    },
  };
}

function bindTransaction(tx: Transaction<Db>) {
  return {
    lockReleases: () => lockReleases(tx),
    findKeySet: (packageName: string) => findKeySet(tx, packageName),
    saveKeySet: (packageName: string, keySet: NewKeySet) => saveKeySet(tx, packageName, keySet),
    findNamesakes: (packageName: string, version: string, sequence: number) =>
      findNamesakes(tx, packageName, version, sequence),
    insertRelease: (release: CheckedRelease) => insertRelease(tx, release),
    replaceSignature: (release: CheckedRelease) => replaceSignature(tx, release),
    lockReleaseUse: (packageName: string, version: string) => lockReleaseUse(tx, packageName, version),
    wasRemoved: (packageName: string, version: string) => wasRemoved(tx, packageName, version),
    removeRelease: (packageName: string, version: string) => removeRelease(tx, packageName, version),
    followServerVersion: (packageName: string, version: string) => followServerVersion(tx, packageName, version),
    chooseTargetVersion: (packageName: string, version: string, chosenBy: string | null) =>
      chooseTargetVersion(tx, packageName, version, chosenBy),
    findRefusingHosts: (sequence: number, permittedFloor: number, limit: number) =>
      findRefusingHosts(tx, sequence, permittedFloor, limit),
    liftQuarantine: (sha256: string) => liftQuarantine(tx, sha256),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}

/** What releases ask of the rest of the server. */
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId } from "../domain/ids.ts";
import type { LiftedQuarantine } from "../domain/quarantine.ts";
import type { Release } from "../domain/release.ts";
import type { Delivery } from "../stream/ports.ts";
import type { SignedKeySet, TrustedKeySet } from "./check-documents.ts";
import type { CheckedRelease } from "../domain/release.ts";
import type { Namesakes } from "./find-conflict.ts";

/** The durable side of releases. */
export interface ReleaseStore {
  listReleases(packageName: string): Promise<readonly Release[]>;
  findKeySet(packageName: string): Promise<SignedKeySet | undefined>;
  findNamesakes(packageName: string, version: string, sequence: number): Promise<Namesakes>;
  findJobArtifact(hostId: HostId, jobId: string): Promise<JobArtifact | undefined>;
  transaction<Result>(work: (tx: ReleaseTransaction) => Promise<Result>): Promise<Result>;
}

/** The writes of one import, one removal or one change of the target. */
export interface ReleaseTransaction {
  /** Lets one transaction at a time change releases. */
  lockReleases(): Promise<void>;
  findKeySet(packageName: string): Promise<SignedKeySet | undefined>;
  saveKeySet(packageName: string, keySet: TrustedKeySet): Promise<void>;
  findNamesakes(packageName: string, version: string, sequence: number): Promise<Namesakes>;
  insertRelease(release: CheckedRelease): Promise<void>;
  /** Stores who signed a known release by now. False when that is stored already. */
  replaceSignature(release: CheckedRelease): Promise<boolean>;
  /** Locks a release and tells who needs it; `undefined` when there is none. */
  lockReleaseUse(packageName: string, version: string): Promise<ReleaseUse | undefined>;
  wasRemoved(packageName: string, version: string): Promise<boolean>;
  /** Deletes a release and keeps in mind what its version and sequence meant. */
  removeRelease(packageName: string, version: string): Promise<void>;
  followServerVersion(packageName: string, version: string): Promise<boolean>;
  /** *Shape*: `undefined` when there is no such release. */
  chooseTargetVersion(
    packageName: string,
    version: string,
    chosenBy: string | null,
  ): Promise<{ readonly sequence: number; readonly permittedFloor: number } | undefined>;
  /** Hosts whose sequence floor is above what this release may have. */
  findRefusingHosts(sequence: number, permittedFloor: number, limit: number): Promise<RefusingHosts>;
  /** *Shape*: `undefined` for an artifact that is not quarantined, "unknown" for one that never was known. */
  liftQuarantine(sha256: string): Promise<LiftedQuarantine | "unknown" | undefined>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
}

/** Who needs a release. */
export interface ReleaseUse {
  readonly isTarget: boolean;
  readonly openJobs: number;
  /** True when a running fleet update brings hosts to it. */
  readonly isRollingOut: boolean;
}

/** Hosts that would refuse a release. */
export interface RefusingHosts {
  readonly count: number;
  /** The first of them by name. */
  readonly hostnames: readonly string[];
  readonly highestFloor: number;
}

/** What a host may fetch for its open job. */
export interface JobArtifact extends Omit<Delivery, "artifactPath"> {
  readonly version: string;
  readonly platform: string;
  readonly fileName: string;
}

/** One line for whoever reads the log. */
export type Log = (level: "info" | "warn" | "error", event: string, fields?: Readonly<Record<string, unknown>>) => void;

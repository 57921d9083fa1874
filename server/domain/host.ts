import type { HostId } from "./ids.ts";
import type { Job } from "./job.ts";
import type { Labels } from "./labels.ts";

/** The one package there is for now: the agent itself. */
export const AGENT_PACKAGE = "rollcall-agent";

/** The oldest agent protocol that is still served. */
export const OLDEST_PROTOCOL_VERSION = 1;

/** One program on a host. */
export interface PackageVersion {
  readonly package: string;
  readonly version: string;
}

/** A host as everybody sees it: screen, API and metrics alike. */
export interface Host {
  readonly id: HostId;
  readonly hostname: string;
  /** What people call it; empty for its hostname. */
  readonly displayName: string;
  readonly labels: Labels;
  readonly os: string;
  readonly arch: string;
  /** Null until its first Hello. */
  readonly agentVersion: string | null;
  readonly packages: readonly PackageVersion[];
  /** Of the unit and guard it was installed with; 0 without either. */
  readonly installRevision: number;
  /** They are older than the target version expects. */
  readonly needsReinstall: boolean;
  /** What the target version has for its platform is quarantined. */
  readonly isTargetQuarantined: boolean;
  readonly isOnline: boolean;
  readonly isIdentityDuplicated: boolean;
  readonly targetVersion: string | null;
  readonly enrolledAt: Date;
  readonly lastSeenAt: Date | null;
  /** When it was archived; null for any other. */
  readonly archivedAt: Date | null;
  /** When a machine last took the place of the one before; null for never. */
  readonly replacedAt: Date | null;
  /** One that was enrolled earlier and reports the same hostname. */
  readonly sameHostnameAs: HostId | null;
  readonly latestJob: Job | null;
  /** It refuses releases of a lower sequence; 0 while it told of none. */
  readonly sequenceFloor: number;
  /** Of the key set that it knows; 0 for none. */
  readonly keysSequence: number;
}

/** How many hosts there are of each kind. Archived ones are none of them. */
export interface HostCounts {
  readonly total: number;
  readonly online: number;
  readonly behind: number;
  readonly updating: number;
  /** Alerts that are not resolved. */
  readonly openAlerts: number;
}

/** `<os>-<arch>`, the name a host's artifacts go by. */
export function platformOf(host: { readonly os: string; readonly arch: string }): string {
  return `${host.os}-${host.arch}`;
}

/**
 * Whether unit and guard of a host are older than a release expects. A host without a revision was installed by hand:
 * nobody knows what it has, so it is not judged.
 */
export function needsReinstall(installRevision: number, expectedRevision: number): boolean {
  return installRevision > 0 && installRevision < expectedRevision;
}

/** Behind means another version than the target, compared as exact strings. */
export function isBehind(agentVersion: string | null, targetVersion: string | null): boolean {
  return targetVersion !== null && agentVersion !== targetVersion;
}

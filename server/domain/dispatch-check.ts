/**
 * What must hold before a job is written down. One function for a single update,
 * a fleet update and a retry alike.
 */

import { needsReinstall } from "./host.ts";

/** Why an update was refused before anything was sent. */
export type DispatchRefusal =
  | { readonly reason: "host_archived" }
  | { readonly reason: "host_offline" }
  | { readonly reason: "already_at_target"; readonly version: string }
  | { readonly reason: "update_running"; readonly jobId: string }
  | { readonly reason: "no_target" }
  | { readonly reason: "no_artifact"; readonly version: string; readonly platform: string }
  | { readonly reason: "below_sequence_floor"; readonly version: string; readonly floor: string }
  | {
      readonly reason: "needs_reinstall";
      readonly version: string;
      readonly installed: string;
      readonly expected: string;
    }
  | { readonly reason: "quarantined"; readonly sha256: string }
  | { readonly reason: "identity_duplicated" };

/** The host and release as they stand at the moment of dispatch. */
export interface DispatchFacts {
  readonly isArchived: boolean;
  readonly isOffline: boolean;
  readonly isIdentityDuplicated: boolean;
  readonly agentVersion: string;
  readonly platform: string;
  readonly targetVersion: string | undefined;
  readonly openJobId: string | undefined;
  /** sha256 of the target's artifact for this platform, lower-case hex. */
  readonly artifactSha256: string | undefined;
  readonly isQuarantined: boolean;
  /** The host refuses releases of a lower sequence. */
  readonly sequenceFloor: number;
  /** The highest floor of a host that takes the target: its sequence, or what its manifest permits. */
  readonly greatestFloor: number | undefined;
  /** Of the unit and guard that the host was installed with; 0 without either. */
  readonly installRevision: number;
  /** The oldest of a host that can take the target; 0 for any. */
  readonly expectedRevision: number;
}

/**
 * The first thing that stands against an update, or `undefined` when it may go.
 *
 * A running update is named before everything else: it is why the rest is as it is.
 */
export function findDispatchRefusal(facts: DispatchFacts, ignoreQuarantine: boolean): DispatchRefusal | undefined {
  if (facts.openJobId !== undefined) return { reason: "update_running", jobId: facts.openJobId };
  if (facts.isArchived) return { reason: "host_archived" };
  if (facts.isIdentityDuplicated) return { reason: "identity_duplicated" };
  if (facts.targetVersion === undefined) return { reason: "no_target" };
  if (facts.agentVersion === facts.targetVersion) return { reason: "already_at_target", version: facts.targetVersion };
  if (facts.isOffline) return { reason: "host_offline" };
  if (facts.artifactSha256 === undefined) {
    return { reason: "no_artifact", version: facts.targetVersion, platform: facts.platform };
  }
  if (facts.greatestFloor !== undefined && facts.sequenceFloor > facts.greatestFloor) {
    const floor = String(facts.sequenceFloor);
    return { reason: "below_sequence_floor", version: facts.targetVersion, floor };
  }
  if (needsReinstall(facts.installRevision, facts.expectedRevision)) {
    return {
      reason: "needs_reinstall",
      version: facts.targetVersion,
      installed: String(facts.installRevision),
      expected: String(facts.expectedRevision),
    };
  }
  if (facts.isQuarantined && !ignoreQuarantine) return { reason: "quarantined", sha256: facts.artifactSha256 };
  return undefined;
}

import type { FleetUpdateId, HostId, JobId } from "./ids.ts";
import type { JobState } from "./job-state.ts";

/** Work for one host, as stored. */
export interface Job {
  readonly id: JobId;
  readonly hostId: HostId;
  readonly kind: "update";
  readonly package: string;
  readonly fromVersion: string;
  readonly toVersion: string;
  readonly manifestSha256: Uint8Array;
  readonly state: JobState;
  /** *Units*: bytes; the most that was ever reported, kept when the job has ended. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** *Units*: bytes of blocks that were sent for it, as they went on the wire. */
  readonly bytesDelivered: number;
  /** *Units*: bytes of the artifact that did not have to be sent; 0 until it is staged. */
  readonly bytesSaved: number;
  readonly ignoreQuarantine: boolean;
  readonly fleetUpdateId: FleetUpdateId | null;
  readonly requestedBy: string;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly committedAt: Date | null;
  readonly endedAt: Date | null;
  readonly deadlineAt: Date | null;
}

/** A job about to be written down. */
export interface NewJob {
  readonly id: JobId;
  readonly hostId: HostId;
  readonly package: string;
  readonly fromVersion: string;
  readonly toVersion: string;
  readonly manifestSha256: Uint8Array;
  /** What the host is to run: lower-case hex. */
  readonly artifactSha256: string;
  readonly ignoreQuarantine: boolean;
  readonly fleetUpdateId: FleetUpdateId | null;
  readonly requestedBy: string;
}

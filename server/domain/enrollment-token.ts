import type { HostId } from "./ids.ts";
import type { Labels } from "./labels.ts";

/** A token that lets hosts in, without the secret itself. */
export interface EnrollmentToken {
  readonly id: string;
  readonly label: string;
  readonly maxUses: number;
  readonly uses: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | null;
  /** Of hosts that enrol with it. */
  readonly labels: Labels;
  /** The host whose place a machine takes; null for a new host. */
  readonly replacesHostId: HostId | null;
}

import type { NewAlert } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { EnrollmentToken } from "../domain/enrollment-token.ts";
import type { HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";

/** The durable side of identities. */
export interface IdentityStore {
  findCredentialGeneration(hostId: HostId): Promise<number | undefined>;
  /** Notes that a newer generation of a credential is in use; older ones are refused from now on. */
  acceptGeneration(hostId: HostId, generation: number): Promise<void>;
  /** Whether a host could enrol with a token now. It is not used. */
  isUsableToken(tokenSha256: Uint8Array): Promise<boolean>;
  transaction<Result>(work: (tx: IdentityTransaction) => Promise<Result>): Promise<Result>;
}

export interface IdentityTransaction {
  useEnrollmentToken(tokenSha256: Uint8Array): Promise<EnrollmentToken | undefined>;
  insertEnrollmentToken(token: {
    readonly id: string;
    readonly tokenSha256: Uint8Array;
    readonly label: string;
    readonly maxUses: number;
    readonly validForMs: number;
    readonly createdBy: string;
    readonly labels: Labels;
  }): Promise<Date>;
  insertHost(host: {
    readonly id: HostId;
    readonly hostname: string;
    readonly os: string;
    readonly arch: string;
  }): Promise<void>;
  /** False unless this database was restored from a backup and never heard of that host. */
  insertForgottenHost(hostId: HostId, generation: number): Promise<boolean>;
  replaceLabels(hostId: HostId, labels: Labels): Promise<void>;
  revokeEnrollmentToken(id: string): Promise<EnrollmentToken | undefined>;
  markIdentityDuplicated(hostId: HostId): Promise<void>;
  raiseAlert(alert: NewAlert): Promise<void>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
}

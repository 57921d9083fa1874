import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId } from "../domain/ids.ts";

/** The durable side of identities. */
export interface IdentityStore {
  findCredentialGeneration(hostId: HostId): Promise<number | undefined>;
  transaction<Result>(work: (tx: IdentityTransaction) => Promise<Result>): Promise<Result>;
}

export interface IdentityTransaction {
  useEnrollmentToken(tokenSha256: Uint8Array): Promise<string | undefined>;
  insertEnrollmentToken(token: {
    readonly id: string;
    readonly tokenSha256: Uint8Array;
    readonly label: string;
    readonly maxUses: number;
    readonly validForMs: number;
    readonly createdBy: string;
  }): Promise<Date>;
  insertHost(host: {
    readonly id: HostId;
    readonly hostname: string;
    readonly os: string;
    readonly arch: string;
  }): Promise<void>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
}

import type { EnrollmentToken } from "../domain/enrollment-token.ts";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import type { UpdateTransaction } from "../watcher/ports.ts";

/** A session that counts no longer, since another machine took its host's place. */
export interface VoidedSession {
  readonly epoch: SessionEpoch;
  readonly instanceId: string;
}

/** The durable side of identities. */
export interface IdentityStore {
  findCredentialGeneration(hostId: HostId): Promise<number | undefined>;
  /** Notes that a newer generation of a credential is in use; older ones are refused from now on. */
  acceptGeneration(hostId: HostId, generation: number): Promise<void>;
  /** Whether a host could enrol with a token now. It is not used. */
  isUsableToken(tokenSha256: Uint8Array): Promise<boolean>;
  transaction<Result>(work: (tx: IdentityTransaction) => Promise<Result>): Promise<Result>;
}

/** Locks are taken in the order tokens, hosts, sessions, jobs. */
export interface IdentityTransaction extends UpdateTransaction {
  useEnrollmentToken(tokenSha256: Uint8Array): Promise<EnrollmentToken | undefined>;
  insertEnrollmentToken(token: {
    readonly id: string;
    readonly tokenSha256: Uint8Array;
    readonly label: string;
    readonly maxUses: number;
    readonly validForMs: number;
    readonly createdBy: string;
    readonly labels: Labels;
    readonly replacesHostId: HostId | null;
  }): Promise<Date>;
  insertHost(host: {
    readonly id: HostId;
    readonly hostname: string;
    readonly os: string;
    readonly arch: string;
  }): Promise<void>;
  /** False unless this database was restored from a backup and never heard of that host. */
  insertForgottenHost(hostId: HostId, generation: number): Promise<boolean>;
  /** What was said of a host, with its row locked; `undefined` when it is unknown or removed. */
  lockDescription(hostId: HostId): Promise<{ readonly labels: Labels } | undefined>;
  replaceLabels(hostId: HostId, labels: Labels): Promise<void>;
  /**
   * Gives a host another machine, and voids what the one before was given: the new generation of its credential, and
   * the session that was open. `undefined` when the host is unknown or removed.
   */
  replaceHost(machine: {
    readonly hostId: HostId;
    readonly hostname: string;
    readonly os: string;
    readonly arch: string;
  }): Promise<{ readonly generation: number; readonly session: VoidedSession | undefined } | undefined>;
  /** Whether a generation of a host's credential is that of a machine which was replaced. */
  isOfReplaced(hostId: HostId, generation: number): Promise<boolean>;
  revokeEnrollmentToken(id: string): Promise<EnrollmentToken | undefined>;
}

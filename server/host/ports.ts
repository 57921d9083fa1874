import type { AlertKind } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId, JobId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";

/** The durable side of what people do to hosts. */
export interface HostStore {
  transaction<Result>(work: (tx: HostTransaction) => Promise<Result>): Promise<Result>;
}

export interface HostTransaction {
  /** What was said of a host, with its row locked; `undefined` when it is unknown or removed. */
  lockDescription(hostId: HostId): Promise<{ readonly displayName: string; readonly labels: Labels } | undefined>;
  nameHost(hostId: HostId, displayName: string): Promise<void>;
  replaceLabels(hostId: HostId, labels: Labels): Promise<void>;
  /** Archives a host. False when it is archived already. The row stays locked. */
  archiveHost(hostId: HostId): Promise<boolean>;
  /** Brings a host back. False when it is not archived. */
  unarchiveHost(hostId: HostId): Promise<boolean>;
  findOpenJob(hostId: HostId): Promise<JobId | undefined>;
  resolveAlerts(hostId: HostId, kinds: readonly AlertKind[]): Promise<void>;
  writeAuditEvent(event: NewAuditEvent): Promise<void>;
}

/** Told what changed, after it was stored. */
export interface HostChanges {
  hostChanged(hostId: HostId): void;
}

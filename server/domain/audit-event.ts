import type { FleetUpdateId, HostId, JobId } from "./ids.ts";

/** What the audit log tells of. */
export type AuditAction =
  | "host.enrolled"
  | "host.replaced"
  | "host.edited"
  | "host.archived"
  | "host.unarchived"
  | "host.removed"
  | "host.recovered"
  | "fleet.update_started"
  | "fleet.update_halted"
  | "fleet.update_completed"
  | "fleet.update_cancelled"
  | "alert.acknowledged"
  | "host.update_dispatched"
  | "host.update_succeeded"
  | "host.update_failed"
  | "host.update_rolled_back"
  | "host.update_cancelled"
  | "token.created"
  | "token.revoked"
  | "user.created"
  | "user.set_up"
  | "user.role_changed"
  | "user.disabled"
  | "user.enabled"
  | "user.reset"
  | "user.password_changed"
  | "session.login"
  | "session.login_failed"
  | "session.logout"
  | "session.revoked"
  | "release.imported"
  | "release.removed"
  | "release.keys_changed"
  | "release.target_changed"
  | "release.quarantined"
  | "release.quarantine_lifted"
  | "server.restored"
  | "notification_channel.created"
  | "notification_channel.changed"
  | "notification_channel.removed";

/** One entry, written in the transaction of the change it tells of. */
export interface NewAuditEvent {
  /** A user, `host`, or `rollcall` for what the server did by itself. */
  readonly actor: string;
  readonly action: AuditAction;
  readonly hostId?: HostId;
  readonly jobId?: JobId;
  readonly fleetUpdateId?: FleetUpdateId | null;
  /** What brought it about, in one line. */
  readonly cause: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** One entry as stored. */
export interface AuditEvent {
  readonly id: bigint;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly hostId: HostId | null;
  readonly jobId: JobId | null;
  readonly fleetUpdateId: FleetUpdateId | null;
  readonly cause: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What an entry of the audit log tells, in words. */
import type { AuditEvent } from "../rollcall/v1/attention_pb.js";

const WORDS: Readonly<Record<string, string>> = {
  "host.enrolled": "Host enrolled",
  "host.replaced": "Machine replaced",
  "host.edited": "Host edited",
  "host.archived": "Host archived",
  "host.unarchived": "Host brought back",
  "host.recovered": "Host recovered after a restore",
  "host.removed": "Host removed",
  "host.update_dispatched": "Update sent",
  "host.update_succeeded": "Update succeeded",
  "host.update_failed": "Update failed",
  "host.update_rolled_back": "Update rolled back",
  "host.update_cancelled": "Update cancelled",
  "fleet.update_started": "Fleet update started",
  "fleet.update_halted": "Fleet update halted",
  "fleet.update_completed": "Fleet update completed",
  "fleet.update_cancelled": "Fleet update cancelled",
  "alert.acknowledged": "Alert acknowledged",
  "token.created": "Token made",
  "token.revoked": "Token revoked",
  "user.created": "User added",
  "user.set_up": "User set up",
  "user.role_changed": "Role changed",
  "user.disabled": "User disabled",
  "user.enabled": "User enabled",
  "user.reset": "User reset",
  "user.password_changed": "Password changed",
  "session.login": "Signed in",
  "session.login_failed": "Sign-in failed",
  "session.logout": "Signed out",
  "session.revoked": "Session ended",
  "release.imported": "Release imported",
  "release.removed": "Release removed",
  "release.target_changed": "Target version changed",
  "release.keys_changed": "Key set changed",
  "release.quarantined": "Build quarantined",
  "release.quarantine_lifted": "Quarantine lifted",
  "server.restored": "Backup restored",
  "notification_channel.created": "Notification channel added",
  "notification_channel.changed": "Notification channel changed",
  "notification_channel.removed": "Notification channel removed",
};

/** The kinds of entries that the log can be narrowed to: a group of actions, and its name. */
export const AUDIT_GROUPS: readonly (readonly [prefix: string, label: string])[] = [
  ["host.", "Hosts"],
  ["fleet.", "Fleet updates"],
  ["alert.", "Alerts"],
  ["release.", "Releases"],
  ["user.", "Users"],
  ["token.", "Tokens"],
  ["session.", "Sessions"],
  ["server.", "Server"],
  ["notification_channel.", "Notification channels"],
];

/** As in `Update sent`. What a newer server names differently shows as it is. */
export function auditTitle(event: AuditEvent): string {
  return WORDS[event.action] ?? event.action;
}

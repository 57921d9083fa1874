/** Every duration of the control plane. Handed to constructors, so that tests shorten them. */
export interface Durations {
  /** An open job without progress for this long fails. */
  readonly progressDeadlineMs: number;
  /** No job lives longer, whatever it progresses. */
  readonly greatestJobAgeMs: number;
  /** What an open job is left with, at least, after time in which no server ran. */
  readonly deadlineGraceMs: number;
  /** A host without a session for this long is offline. */
  readonly offlineAfterMs: number;
  /** Nobody goes offline in a server's first moments. */
  readonly startGraceMs: number;
  /** A tick later than this, or a clock that jumped further, gives grace. */
  readonly stallMs: number;
  /** How often deadlines are looked at. */
  readonly tickIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  /** A duplicated identity that was quiet for this long is forgotten. */
  readonly quietDuplicateMs: number;
  /** How long who may run fleet updates keeps that right without renewing it. */
  readonly leaseMs: number;
  /** How often the audit log is sealed. */
  readonly auditSealIntervalMs: number;
  /** From one look for notifications to the next. */
  readonly notificationIntervalMs: number;
  /** From one message on a channel to the next; what comes meanwhile goes out together. */
  readonly notificationPauseMs: number;
  /** From a message that failed to the next attempt; doubles with each. */
  readonly notificationRetryMs: number;
  /** The most between two attempts. */
  readonly notificationRetryMaxMs: number;
  /** Notifications that waited for longer are dropped. */
  readonly notificationGiveUpMs: number;
}

export const DEFAULT_DURATIONS: Durations = {
  progressDeadlineMs: 90_000,
  greatestJobAgeMs: 60 * 60_000,
  deadlineGraceMs: 30_000,
  offlineAfterMs: 45_000,
  startGraceMs: 75_000,
  stallMs: 5_000,
  tickIntervalMs: 1_000,
  heartbeatIntervalMs: 15_000,
  quietDuplicateMs: 10 * 60_000,
  leaseMs: 10_000,
  auditSealIntervalMs: 60_000,
  notificationIntervalMs: 2_000,
  notificationPauseMs: 10_000,
  notificationRetryMs: 10_000,
  notificationRetryMaxMs: 15 * 60_000,
  notificationGiveUpMs: 24 * 60 * 60_000,
};

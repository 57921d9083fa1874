/**
 * How long to wait between attempts to connect. Exponential with full jitter, so
 * that a fleet that lost its server does not return in step. While an update is
 * at stake the pauses stay short: with the long ones a server that was briefly
 * away cost a quarter of good updates.
 */
import type { Random } from "../clock.ts";

/** The bounds of the pauses. *Units*: milliseconds. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly greatestMs: number;
  /** The greatest pause while a job is active or an update unconfirmed. */
  readonly greatestUrgentMs: number;
  /** The shortest pause after a server turned this host away. */
  readonly turnedAwayMs: number;
}

/** The pauses in use. */
export const BACKOFF_LIMITS: BackoffLimits = {
  firstMs: 1_000,
  greatestMs: 60_000,
  greatestUrgentMs: 3_000,
  turnedAwayMs: 30_000,
};

/** What the last round of attempts was like. */
export interface BackoffState {
  /** Rounds over all servers that failed since the last good session. */
  readonly failedRounds: number;
  readonly isUrgent: boolean;
  /** True when every server answered and turned this host away. */
  readonly isTurnedAway: boolean;
  /** The shortest wait that a server asked for, 0 when one did not ask. *Units*: milliseconds. */
  readonly askedMs: number;
}

/** *Units*: milliseconds. No server may silence a host for longer. */
const GREATEST_ASKED_MS = 10 * 60_000;

/** The next pause. *Units*: milliseconds. */
export function choosePauseMs(state: BackoffState, limits: BackoffLimits, random: Random): number {
  const growth = limits.firstMs * 2 ** Math.min(state.failedRounds, 30);
  if (state.isTurnedAway) {
    const askedMs = Math.min(state.askedMs, GREATEST_ASKED_MS);
    // Spread above the asked wait, never below it.
    return Math.max(limits.turnedAwayMs, askedMs) * (1 + random.next());
  }
  const greatestMs = state.isUrgent ? limits.greatestUrgentMs : limits.greatestMs;
  const jitteredMs = random.next() * Math.min(growth, greatestMs);
  const askedMs = Math.min(state.askedMs, state.isUrgent ? limits.greatestUrgentMs : GREATEST_ASKED_MS);
  return Math.max(jitteredMs, askedMs);
}

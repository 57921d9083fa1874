/** How long people stay signed in, and how long secrets wait to be used. *Units*: milliseconds. */
export const SESSION_LIFE = {
  /** A session that nobody uses ends. */
  idleMs: 12 * 3_600_000,
  /** Every session ends. */
  absoluteMs: 7 * 86_400_000,
} as const;

export const SETUP_LINK_LIFE_MS = 3_600_000;

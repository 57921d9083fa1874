/**
 * Tells a cloned disk from an agent that merely reconnects. A process that lost
 * its stream comes back with the id it had; a restarted one with an id never seen;
 * only two processes with one credential take over from each other in turn.
 */

/** One instance taking a host's live session from another. */
export interface Replacement {
  readonly fromInstanceId: string;
  readonly toInstanceId: string;
  /** *Units*: monotonic milliseconds. */
  readonly atMs: number;
}

/** *Units*: milliseconds. */
const DUPLICATION_WINDOW_MS = 5 * 60_000;
/** This many returns of an instance that had been replaced are still let pass. */
const MOST_RETURNS = 3;

/** Drops replacements that left the window. */
export function recentReplacements(replacements: readonly Replacement[], nowMs: number): readonly Replacement[] {
  return replacements.filter((replacement) => nowMs - replacement.atMs < DUPLICATION_WINDOW_MS);
}

/**
 * Whether two processes share one credential.
 *
 * *Shape*: `replacements` are those within the window, oldest first, the one in question last.
 */
export function isDuplicated(replacements: readonly Replacement[]): boolean {
  const replaced = new Set<string>();
  let returns = 0;
  for (const replacement of replacements) {
    if (replaced.has(replacement.toInstanceId)) returns += 1;
    replaced.add(replacement.fromInstanceId);
  }
  return returns > MOST_RETURNS;
}

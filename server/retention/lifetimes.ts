/** How long what has ended is kept, as the operator says. */

/** The settings, by their names. *Units*: days; 0 keeps for ever. */
export const LIFETIME_SETTINGS = ["retention-jobs-days", "retention-tokens-days", "retention-adoption-days"] as const;

/** *Units*: days after the end; 0 keeps for ever. */
export interface Lifetimes {
  /** Jobs and their logs. */
  readonly jobs: number;
  /** Enrolment tokens that are used up, expired or revoked. */
  readonly tokens: number;
  /** How many hosts ran which version on a day. */
  readonly adoption: number;
}

type ReadDays = (setting: (typeof LIFETIME_SETTINGS)[number], fallback: string) => number;

/** Reads them. `readDays` throws for what is no number of days. */
export function readLifetimes(readDays: ReadDays): Lifetimes {
  return {
    jobs: readDays("retention-jobs-days", "400"),
    tokens: readDays("retention-tokens-days", "90"),
    adoption: readDays("retention-adoption-days", "800"),
  };
}

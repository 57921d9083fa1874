/** What trimming asks of the store. */

/** Deletes what has lived long enough, a batch at a time; each tells how many rows went. */
export interface RetentionStore {
  /** True while this server is the one that trims. */
  holdLease(lifeMs: number): Promise<boolean>;
  trimJobs(days: number, limit: number): Promise<number>;
  trimTokens(days: number, limit: number): Promise<number>;
  trimAdoption(days: number, limit: number): Promise<number>;
  /** Sessions of people that have ended. */
  trimSessions(limit: number): Promise<number>;
}

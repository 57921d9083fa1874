/** What is asked of others, to count what they do. */

/** The connections of one pool. */
export interface PoolCounts {
  readonly total: number;
  readonly idle: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
}

/** What a pool of database connections tells of itself. */
export interface PoolMeter {
  /** Told once how to count its connections. */
  opened(count: () => PoolCounts): void;
  /** Told of each statement. */
  queried(durationMs: number, succeeded: boolean): void;
}

/** What a pool of connections is used for. */
export type PoolPurpose = "writing" | "reading" | "lease";

/** Tells each pool whom to tell. */
export type MeterDatabase = (pool: PoolPurpose) => PoolMeter;

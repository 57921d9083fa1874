/** Time as the agent sees it: monotonic only, so that a jumping wall clock changes nothing. */
export interface Clock {
  /** *Units*: milliseconds since some fixed moment of this boot; never goes back. */
  monotonicMs(): number;
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Randomness for jitter and ids. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A fresh UUID. */
  uuid(): string;
}

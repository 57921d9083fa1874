/** Time as the server's own process sees it. Deadlines and leases use the database's clock instead. */
export interface Clock {
  /** Wall time, for what people read. */
  now(): Date;
  /** *Units*: milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Calls back once after `delayMs` unless disposed before. */
  schedule(delayMs: number, callback: () => void): Disposable;
}

/** Randomness for ids, tokens and jitter. */
export interface Random {
  /** A fresh UUID. */
  uuid(): string;
  /** Unpredictable bytes, fit for secrets. */
  bytes(length: number): Uint8Array;
}

/** Time as this browser sees it. What people read is reckoned on the server's clock: see `server-time.svelte.ts`. */

/** What asks for time takes one of these. */
export interface Clock {
  /** *Units*: milliseconds since 1970. */
  nowMs(): number;
  /** *Units*: milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Calls back once after `delayMs` unless disposed before. */
  schedule(delayMs: number, callback: () => void): Disposable;
}

/** The browser's own. */
export const browserClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

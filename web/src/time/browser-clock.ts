/** Time as this browser sees it. What people read is reckoned on the server's clock: see `server-time.svelte.ts`. */

/** What asks for time takes one of these. */
export interface Clock {
  /** *Units*: milliseconds since 1970. */
  nowMs(): number;
  /** *Units*: milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Calls back once after `delayMs` unless disposed before. */
  schedule(delayMs: number, callback: () => void): Disposable;
  /** Resolves once the browser had its turn: input and drawing go first. Not slowed down while the page is hidden, as timers are. */
  nextTask(): Promise<void>;
}

const turns = new MessageChannel();
const waiting: (() => void)[] = [];
turns.port1.onmessage = () => waiting.shift()?.();

/** The browser's own. */
export const browserClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  nextTask: () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      turns.port2.postMessage(undefined);
    }),
};

import type { Clock } from "../time/browser-clock.ts";

/** *Units*: milliseconds that a message stays. */
const STAY_MS = 4_000;

/** Short messages of things that cannot fail. Whatever can fail answers in its own place. */
export class Toasts {
  readonly #clock: Clock;
  #timer: Disposable | undefined;
  message: string = $state("");

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Shows a message, in place of an older one. */
  show(message: string): void {
    this.message = message;
    this.release();
  }

  /** Keeps the message while somebody points at it. */
  hold(): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** Starts the time after which it goes. */
  release(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.schedule(STAY_MS, () => {
      this.message = "";
    });
  }
}

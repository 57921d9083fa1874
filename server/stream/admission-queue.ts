interface Waiting {
  readonly ticket: number;
  readonly admit: () => void;
}

/** Jobs whose tickets are kept. */
const GREATEST_TICKET_COUNT = 10_000;

/**
 * Lets so many in at a time; the others wait in the order in which their jobs first
 * came. A host that lost its connection keeps its place, and what was begun is finished first.
 */
export class AdmissionQueue {
  readonly #greatestInside: number;
  #inside = 0;
  /** Lowest ticket first. */
  readonly #waiting: Waiting[] = [];
  /** Oldest first. */
  readonly #tickets = new Map<string, number>();
  #lastTicket = 0;

  constructor(greatestInside: number) {
    this.#greatestInside = greatestInside;
  }

  get inside(): number {
    return this.#inside;
  }

  /** True when who comes now has to wait. */
  get isFull(): boolean {
    return this.#inside >= this.#greatestInside;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Waits for a place, which is given up by disposing it.
   *
   * *Throws* the signal's reason.
   */
  async enter(jobId: string, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const ticket = this.#ticketOf(jobId);
    if (this.isFull) await this.#admission(ticket, signal);
    else this.#inside += 1;
    let isLeft = false;
    return {
      [Symbol.dispose]: () => {
        if (isLeft) return;
        isLeft = true;
        this.#leave();
      },
    };
  }

  #admission(ticket: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      const waiting: Waiting = {
        ticket,
        admit: () => {
          signal.removeEventListener("abort", giveUp);
          resolve();
        },
      };
      const later = this.#waiting.findIndex((other) => other.ticket > ticket);
      this.#waiting.splice(later === -1 ? this.#waiting.length : later, 0, waiting);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The place goes to the next at once, so that no newcomer takes it. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside -= 1;
    else next.admit();
  }

  #ticketOf(jobId: string): number {
    const known = this.#tickets.get(jobId);
    if (known !== undefined) return known;
    this.#lastTicket += 1;
    this.#tickets.set(jobId, this.#lastTicket);
    const [oldest] = this.#tickets.keys();
    if (this.#tickets.size > GREATEST_TICKET_COUNT && oldest !== undefined) this.#tickets.delete(oldest);
    return this.#lastTicket;
  }
}

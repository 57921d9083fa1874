/**
 * One line of time for everything in a schedule. Nothing waits for real: an event runs,
 * then whatever promises it settled run until nothing more happens, then time leaps to
 * the next event. Events of the same instant run in the order they were asked for.
 */

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Turns without a sign of life after which the promises of an event count as run out. */
const QUIET_TURNS = 24;
/** Awaited, it lets every other promise that is settled have its turn. */
const TURN = Promise.resolve();

export class VirtualTime {
  readonly #heap: Entry[] = [];
  #nowMs = 0;
  #order = 0;
  #signs = 0;
  #seenSigns = 0;

  /** *Units*: milliseconds since the schedule began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Runs `run` after this long unless it is disposed before. */
  after(delayMs: number, run: () => void): Disposable {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    this.#order += 1;
    const entry: Entry = { atMs, order: this.#order, run, isCancelled: false };
    this.#push(entry);
    return {
      [Symbol.dispose]: () => {
        entry.isCancelled = true;
      },
    };
  }

  /** Resolves after this long. */
  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, () => {
        this.noteLife();
        resolve();
      });
    });
  }

  /** Says that promises are being settled, so that they are waited for. */
  noteLife(): void {
    this.#signs += 1;
  }

  /** Runs the next event and all that follows from it. False when there is none. */
  async step(): Promise<boolean> {
    for (let entry = this.#pop(); entry !== undefined; entry = this.#pop()) {
      if (entry.isCancelled) continue;
      this.#nowMs = entry.atMs;
      entry.run();
      if (this.#signs !== this.#seenSigns) await this.settle();
      return true;
    }
    return false;
  }

  /** Lets promises run until none shows a sign of life any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      await TURN;
      if (this.#signs !== this.#seenSigns) quiet = 0;
      this.#seenSigns = this.#signs;
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || isBefore(parent, entry)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      const leftIndex = 2 * index + 1;
      const left = heap[leftIndex];
      if (left === undefined) break;
      const right = heap[leftIndex + 1];
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(last, child)) break;
      heap[index] = child;
      index = isRight ? leftIndex + 1 : leftIndex;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** Timers of an agent's process: they end with it, and wait while its machine stands still. */
import type { VirtualTime } from "./virtual-time.ts";

export class AgentLife {
  readonly #time: VirtualTime;
  #isOver = false;
  #isFrozen = false;
  #backlog: (() => void)[] = [];

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Runs `work` after this long, unless the process has ended by then. */
  after(delayMs: number, work: () => void): void {
    this.#time.after(delayMs, () => this.run(work));
  }

  /** Runs something of this process: now, once it goes on, or never. */
  run(work: () => void): void {
    if (this.#isOver) return;
    if (this.#isFrozen) this.#backlog.push(work);
    else work();
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const work of backlog) this.run(work);
  }

  end(): void {
    this.#isOver = true;
    this.#backlog = [];
  }
}

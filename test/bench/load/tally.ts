import type { Arrivals, Sightings } from "./orders.ts";

/** Counts what the agents of one generator see. */
export class Tally {
  #failures = new Map<string, number>();
  #losses = new Map<string, number>();
  #commandsAtMs: number[] = [];
  #updates = 0;

  failed(cause: string): void {
    count(this.#failures, cause);
  }

  lost(cause: string): void {
    count(this.#losses, cause);
  }

  commanded(atMs: number): void {
    this.#commandsAtMs.push(atMs);
  }

  updated(): void {
    this.#updates += 1;
  }

  /** Attempts that failed since they were last taken. */
  takeFailures(): Arrivals["failures"] {
    const failures = Object.fromEntries(this.#failures);
    this.#failures = new Map();
    return failures;
  }

  /** All else since it was last taken. */
  takeSightings(): Sightings {
    const sightings = {
      commandsAtMs: this.#commandsAtMs,
      losses: Object.fromEntries(this.#losses),
      updates: this.#updates,
    };
    this.#losses = new Map();
    this.#commandsAtMs = [];
    this.#updates = 0;
    return sightings;
  }
}

function count(counts: Map<string, number>, cause: string): void {
  counts.set(cause, (counts.get(cause) ?? 0) + 1);
}

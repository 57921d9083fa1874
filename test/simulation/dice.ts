import { seededRandom } from "../support/seeded-random.ts";

/** Every choice of one schedule: the same seed makes the same choices. */
export class Dice {
  readonly #random: ReturnType<typeof seededRandom>;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.#random.between(0, 1) < probability;
  }

  /** A whole number, both ends included. */
  whole(low: number, high: number): number {
    return Math.floor(this.#random.between(low, high + 1));
  }

  /** One of a list that is not empty. */
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.whole(0, items.length - 1)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}

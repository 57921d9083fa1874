/**
 * The one way to hash and check passwords. Each costs a tenth of a second and 46 MiB,
 * and strangers may ask for it: so two at a time, a short queue, and then a refusal.
 */
import type { Random } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import { hashPassword, matchesPassword } from "./password-hash.ts";

const AT_A_TIME = 2;
const QUEUE_LENGTH = 32;
const RETRY_AFTER_MS = 2_000;

export class Passwords {
  readonly #random: Random;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #unknown: Promise<string> | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** *Throws* RefusedError when too many are asked for at once. */
  hash(password: string): Promise<string> {
    return this.#run(() => hashPassword(password, this.#random));
  }

  /**
   * True when this is the password behind `stored`. Without one it takes as long and says no, so that time
   * does not tell who has an account.
   *
   * *Throws* RefusedError when too many are asked for at once.
   */
  matches(password: string, stored: string | null): Promise<boolean> {
    return this.#run(async () => {
      if (stored !== null) return matchesPassword(password, stored);
      this.#unknown ??= hashPassword(Buffer.from(this.#random.bytes(16)).toString("hex"), this.#random);
      await matchesPassword(password, await this.#unknown);
      return false;
    });
  }

  async #run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= AT_A_TIME) {
      if (this.#waiting.length >= QUEUE_LENGTH) {
        throw new RefusedError("login_busy", "Too many people sign in right now. Try again.", {}, RETRY_AFTER_MS);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      // Whoever is next takes this place over; nobody gets in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

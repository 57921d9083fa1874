/**
 * How many Hellos are being stored at one time. Beyond a number, whoever comes is sent
 * away with a time to come back at, so that a storm costs a slow database no memory and
 * no agent its patience. A host whose job waits for it goes first: there is as much
 * room again for those alone.
 */
import type { Random } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { ListenerLimits } from "./limits.ts";

type AdmissionLimits = Pick<ListenerLimits, "hellosAtOnce" | "returnSpreadMs">;

/** *Units*: milliseconds. The soonest that anybody is asked to come back. */
const LEAST_RETRY_AFTER_MS = 1_000;

/** See the chapter above. One for each listener. */
export class HelloAdmission {
  readonly #limits: AdmissionLimits;
  readonly #random: Pick<Random, "bytes">;
  #inside = 0;

  constructor(limits: AdmissionLimits, random: Pick<Random, "bytes">) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Hellos that are being stored. */
  get inside(): number {
    return this.#inside;
  }

  /**
   * Lets a Hello in, until the answer is disposed. `hasOpenJob` says that its host's job waits for it.
   *
   * *Throws* RefusedError (server_busy).
   */
  enter(hasOpenJob: boolean): Disposable {
    const { hellosAtOnce } = this.#limits;
    if (this.#inside >= (hasOpenJob ? 2 * hellosAtOnce : hellosAtOnce)) throw this.#refusal();
    this.#inside += 1;
    return {
      [Symbol.dispose]: () => {
        this.#inside -= 1;
      },
    };
  }

  #refusal(): RefusedError {
    const sentence = "Many agents connect at this moment. Nothing is wrong with this host; it is to come back soon.";
    const retryAfterMs = LEAST_RETRY_AFTER_MS + chooseDelayMs(this.#limits.returnSpreadMs, this.#random);
    return new RefusedError("server_busy", sentence, {}, retryAfterMs);
  }
}

/** *Units*: milliseconds; below `spreadMs`, each as likely as any other. */
export function chooseDelayMs(spreadMs: number, random: Pick<Random, "bytes">): number {
  return Math.floor((Buffer.from(random.bytes(4)).readUInt32BE() / 2 ** 32) * spreadMs);
}

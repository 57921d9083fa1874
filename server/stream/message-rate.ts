/** A token bucket: on average `perSecond`, and that many at once after a quiet second. */
export class MessageRate {
  readonly #perSecond: number;
  #available: number;
  #refilledAtMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#available = perSecond;
    this.#refilledAtMs = nowMs;
  }

  /** Takes one. *Shape*: false when none is left. */
  take(nowMs: number): boolean {
    const refill = ((nowMs - this.#refilledAtMs) / 1_000) * this.#perSecond;
    this.#available = Math.min(this.#perSecond, this.#available + refill);
    this.#refilledAtMs = nowMs;
    if (this.#available < 1) return false;
    this.#available -= 1;
    return true;
  }
}

/** Jobs whose bytes are remembered. A job lives for an hour at most, so older ones are of no use. */
const GREATEST_JOB_COUNT = 10_000;

/** How much of an artifact each job may still fetch: twice its size, so that broken downloads can resume. */
export class DeliveryBudget {
  /** Oldest first. */
  readonly #sentByJob = new Map<string, number>();

  /** *Units*: bytes. */
  remaining(jobId: string, artifactBytes: number): number {
    return Math.max(0, 2 * artifactBytes - (this.#sentByJob.get(jobId) ?? 0));
  }

  /** Counts bytes when they are sent, whether or not they arrive. */
  charge(jobId: string, bytes: number): void {
    const sent = this.#sentByJob.get(jobId) ?? 0;
    this.#sentByJob.delete(jobId);
    this.#sentByJob.set(jobId, sent + bytes);
    const [oldest] = this.#sentByJob.keys();
    if (this.#sentByJob.size > GREATEST_JOB_COUNT && oldest !== undefined) this.#sentByJob.delete(oldest);
  }
}

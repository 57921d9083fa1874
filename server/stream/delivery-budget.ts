/** Jobs whose bytes are remembered. A job lives for an hour at most, so older ones are of no use. */
const GREATEST_JOB_COUNT = 10_000;

/** How much each job may still be sent: twice its artifact, so that broken downloads can resume. */
export class DeliveryBudget {
  /** Oldest first. */
  readonly #sentByJob = new Map<string, number>();

  /**
   * What is left of a job of which `recordedBytes` are written down: another server
   * may have sent them, or this one before it was started again.
   *
   * *Units*: bytes.
   */
  remaining(jobId: string, artifactBytes: number, recordedBytes: number): number {
    return Math.max(0, 2 * artifactBytes - Math.max(recordedBytes, this.#sentByJob.get(jobId) ?? 0));
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

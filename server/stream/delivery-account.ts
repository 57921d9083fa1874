import type { Clock } from "../domain/clock.ts";
import type { HostId } from "../domain/ids.ts";
import type { DeliveryAccounts, StreamLog } from "./ports.ts";

/** *Units*: milliseconds between two times that a delivery writes down what it sent. */
const RECORD_INTERVAL_MS = 5_000;

/** What one delivery has sent. Written down now and then and at its end, never a block at a time. */
export class DeliveryAccount {
  readonly #hostId: HostId;
  readonly #jobId: string;
  readonly #accounts: DeliveryAccounts;
  readonly #clock: Clock;
  readonly #log: StreamLog;
  #unrecordedBytes = 0;
  #recordedAtMs: number;
  #recording: Promise<void> | undefined;

  constructor(
    hostId: HostId,
    jobId: string,
    parts: { readonly accounts: DeliveryAccounts; readonly clock: Clock; readonly log: StreamLog },
  ) {
    this.#hostId = hostId;
    this.#jobId = jobId;
    this.#accounts = parts.accounts;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#recordedAtMs = parts.clock.monotonicMs();
  }

  /** Counts bytes that were sent. */
  count(bytes: number): void {
    this.#unrecordedBytes += bytes;
    if (this.#recording !== undefined) return;
    if (this.#clock.monotonicMs() - this.#recordedAtMs >= RECORD_INTERVAL_MS) this.#recording = this.#record();
  }

  /** Writes down what is left. Resolves also when that failed: the blocks were sent all the same. */
  async close(): Promise<void> {
    await this.#recording;
    await this.#record();
  }

  async #record(): Promise<void> {
    const bytes = this.#unrecordedBytes;
    if (bytes === 0) return;
    this.#unrecordedBytes = 0;
    try {
      await this.#accounts.addDelivered(this.#hostId, this.#jobId, bytes);
    } catch (error) {
      this.#unrecordedBytes += bytes;
      this.#log.unexpected("writing down what was delivered", error);
    }
    this.#recordedAtMs = this.#clock.monotonicMs();
    this.#recording = undefined;
  }
}

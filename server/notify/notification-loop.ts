/**
 * Sends what waits in the outbox. A channel has one message on its way at a time, and
 * what comes meanwhile goes out together in the next, so a thousand hosts that vanish
 * ring a phone a few times. A channel that fails is tried again ever later.
 */
import type { Clock } from "../domain/clock.ts";
import type { Durations } from "../domain/durations.ts";
import type { Delivery } from "../domain/notification.ts";
import { composeMessage } from "./compose-message.ts";
import { SendFailure, type NotificationOutbox, type Sender } from "./ports.ts";

/** What the loop works with. */
export interface NotificationLoopParts {
  readonly outbox: NotificationOutbox;
  readonly sender: Sender;
  readonly clock: Clock;
  readonly durations: Durations;
  readonly publicUrl: string | undefined;
  readonly log: (level: "info" | "warn", event: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Longer than any attempt, so that no two servers send on one channel. */
const CLAIM_MS = 60_000;

export class NotificationLoop implements AsyncDisposable {
  readonly #parts: NotificationLoopParts;
  #timer: Disposable | undefined;
  #looking: Promise<void> | undefined;
  readonly #sending = new Set<Promise<void>>();
  #isDisposed = false;

  constructor(parts: NotificationLoopParts) {
    this.#parts = parts;
  }

  /** Looks now, and from now on at every interval. */
  start(): void {
    this.wake();
  }

  /** Looks now, unless it is looking. */
  wake(): void {
    if (this.#isDisposed || this.#looking !== undefined) return;
    this.#timer?.[Symbol.dispose]();
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
      if (!this.#isDisposed)
        this.#timer = this.#parts.clock.schedule(this.#parts.durations.notificationIntervalMs, () => this.wake());
    });
  }

  /** Waits for what is on its way; each attempt has an end of its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#looking;
    await Promise.all(this.#sending);
  }

  async #look(): Promise<void> {
    try {
      const deliveries = await this.#parts.outbox.claim(CLAIM_MS, this.#parts.durations.notificationGiveUpMs);
      for (const delivery of deliveries) {
        const sending = this.#deliver(delivery).finally(() => this.#sending.delete(sending));
        this.#sending.add(sending);
      }
    } catch (error) {
      // The next look makes up for it.
      this.#parts.log("warn", "looking for notifications", { error: String(error) });
    }
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { outbox, sender, durations, publicUrl, log } = this.#parts;
    const { channelId, channelName: channel, notifications } = delivery;
    try {
      const failure = await attempt(() =>
        sender.send(delivery.target, delivery.secret, composeMessage(channelId, notifications, publicUrl)),
      );
      if (failure === undefined) {
        await outbox.delivered(delivery, durations.notificationPauseMs);
        log("info", "notified", { channel, notifications: notifications.length });
        return;
      }
      const { notificationRetryMs, notificationRetryMaxMs } = durations;
      const retryMs = Math.min(notificationRetryMaxMs, notificationRetryMs * 2 ** Math.min(delivery.failures, 20));
      await outbox.failed(delivery, failure, retryMs);
      log("warn", "notifying failed", { channel, failure, waiting: notifications.length, retryMs });
    } catch (error) {
      // The claim ends, and whoever claims it then tries again.
      log("warn", "notifying", { channel, error: String(error) });
    }
  }
}

/** Why it failed; `undefined` when it did not. */
async function attempt(send: () => Promise<void>): Promise<string | undefined> {
  try {
    await send();
    return undefined;
  } catch (error) {
    if (error instanceof SendFailure) return error.message;
    throw error;
  }
}

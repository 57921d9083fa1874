/** What notifying asks of the store. */
import type { Severity } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { ChannelId } from "../domain/ids.ts";
import type { Channel, ChannelTarget, Delivery, NewChannel, WantedChannel } from "../domain/notification.ts";

/** Channels, each change with its audit event. */
export interface ChannelStore {
  /** By name. */
  listChannels(): Promise<readonly Channel[]>;
  /** Where a test is sent. `undefined` when it is unknown. */
  findTarget(
    id: ChannelId,
  ): Promise<{ readonly name: string; readonly target: ChannelTarget; readonly secret: string } | undefined>;
  /** *Throws* RefusedError (channel_name_taken, too_many_channels). */
  insertChannel(channel: NewChannel, audit: NewAuditEvent): Promise<Channel>;
  /** An empty secret keeps the one there is. `undefined` when the channel is unknown. */
  changeChannel(
    id: ChannelId,
    wanted: WantedChannel,
    audit: (name: string) => NewAuditEvent,
  ): Promise<Channel | undefined>;
  /** False when the channel is unknown. */
  removeChannel(id: ChannelId, audit: (name: string) => NewAuditEvent): Promise<boolean>;
}

/** What waits to be sent. Several servers may ask: each channel is handed to one of them at a time. */
export interface NotificationOutbox {
  /** Drops what waited for longer than `giveUpAfterMs`, then claims channels that are due for `claimMs`. */
  claim(claimMs: number, giveUpAfterMs: number): Promise<readonly Delivery[]>;
  /** Takes what was delivered out; the channel's next message is `pauseMs` away. */
  delivered(delivery: Delivery, pauseMs: number): Promise<void>;
  /** Notes why nothing was delivered; the next attempt is `retryMs` away. */
  failed(delivery: Delivery, failure: string, retryMs: number): Promise<void>;
}

/** Sends one message. *Throws* SendFailure. */
export interface Sender {
  send(target: ChannelTarget, secret: string, message: Message): Promise<void>;
}

/** One message about one or several alerts. */
export interface Message {
  /** The same when it is sent again. */
  readonly id: string;
  readonly severity: Severity;
  /** One line. */
  readonly title: string;
  /** Lines, one an alert. */
  readonly lines: readonly string[];
  /** A page of the dashboard; `undefined` where nobody said how people reach this server. */
  readonly link: string | undefined;
  /** What programs read. *Shape*: JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Why a message was not delivered, in a sentence that holds nothing of what the other side answered. */
export class SendFailure extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause });
    this.name = "SendFailure";
  }
}

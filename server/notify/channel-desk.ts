/** Where admins make, change, test and remove the channels that alerts are sent to. */
import type { AuditAction, NewAuditEvent } from "../domain/audit-event.ts";
import type { Random } from "../domain/clock.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { ChannelId } from "../domain/ids.ts";
import type { Channel, WantedChannel } from "../domain/notification.ts";
import { checkTarget } from "./check-target.ts";
import { composeTest } from "./compose-message.ts";
import { SendFailure, type ChannelStore, type Sender } from "./ports.ts";
import { createWebhookSecret } from "./webhook.ts";

/** What the desk works with. */
export interface ChannelDeskParts {
  readonly store: ChannelStore;
  readonly sender: Sender;
  readonly random: Random;
  readonly publicUrl: string | undefined;
  /** Told when something may have become due. */
  readonly wake: () => void;
}

export class ChannelDesk {
  readonly #parts: ChannelDeskParts;

  constructor(parts: ChannelDeskParts) {
    this.#parts = parts;
  }

  list(): Promise<readonly Channel[]> {
    return this.#parts.store.listChannels();
  }

  /**
   * `madeSecret` is empty unless one was made. *Throws* InvalidFieldError, RefusedError (channel_name_taken,
   * too_many_channels).
   */
  async create(
    actor: string,
    name: string,
    wanted: WantedChannel,
  ): Promise<{ readonly channel: Channel; readonly madeSecret: string }> {
    checkTarget(wanted.target, wanted.secret, false);
    const isMade = wanted.target.kind === "webhook" && wanted.secret === "";
    const secret = isMade ? createWebhookSecret(this.#parts.random) : wanted.secret;
    const id = this.#parts.random.uuid() as ChannelId;
    const channel = await this.#parts.store.insertChannel(
      { ...wanted, id, name, secret, createdBy: actor },
      toAuditEvent(actor, "notification_channel.created", name),
    );
    return { channel, madeSecret: isMade ? secret : "" };
  }

  /** *Throws* InvalidFieldError, RefusedError (channel_unknown). */
  async change(actor: string, id: ChannelId, wanted: WantedChannel): Promise<Channel> {
    const former = await this.#find(id);
    // A secret is for one kind of place: a token of ntfy signs no webhook.
    if (former.target.kind !== wanted.target.kind)
      throw new InvalidFieldError("target", `this channel is of the kind ${former.target.kind}; make another one`);
    checkTarget(wanted.target, wanted.secret, former.secret !== "");
    const channel = await this.#parts.store.changeChannel(id, wanted, (name) =>
      toAuditEvent(actor, "notification_channel.changed", name),
    );
    if (channel === undefined) throw channelUnknown(id);
    this.#parts.wake();
    return channel;
  }

  /** *Throws* RefusedError (channel_unknown). */
  async remove(actor: string, id: ChannelId): Promise<void> {
    const isRemoved = await this.#parts.store.removeChannel(id, (name) =>
      toAuditEvent(actor, "notification_channel.removed", name),
    );
    if (!isRemoved) throw channelUnknown(id);
  }

  /** A sentence, empty when the test was delivered. *Throws* RefusedError (channel_unknown). */
  async test(id: ChannelId): Promise<string> {
    const { name, target, secret } = await this.#find(id);
    const { sender, random, publicUrl } = this.#parts;
    try {
      await sender.send(target, secret, composeTest(name, `${id}.${random.uuid()}`, publicUrl));
      return "";
    } catch (error) {
      if (error instanceof SendFailure) return error.message;
      throw error;
    }
  }

  async #find(id: ChannelId) {
    const found = await this.#parts.store.findTarget(id);
    if (found === undefined) throw channelUnknown(id);
    return found;
  }
}

function toAuditEvent(actor: string, action: AuditAction, name: string): NewAuditEvent {
  return { actor, action, cause: "asked for", details: { channel: name } };
}

function channelUnknown(id: ChannelId): RefusedError {
  return new RefusedError("channel_unknown", `There is no channel ${id}.`, { channel_id: id });
}

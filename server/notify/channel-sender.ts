import type { ChannelTarget } from "../domain/notification.ts";
import { sendMail, type MailParts } from "./mail.ts";
import { sendNtfy } from "./ntfy.ts";
import type { PostParts } from "./post.ts";
import type { Message, Sender } from "./ports.ts";
import { sendWebhook } from "./webhook.ts";

/** Sends messages to places of every kind. */
export function createChannelSender(parts: PostParts & MailParts): Sender {
  return {
    send(target: ChannelTarget, secret: string, message: Message): Promise<void> {
      switch (target.kind) {
        case "webhook":
          return sendWebhook(parts, target, secret, message);
        case "ntfy":
          return sendNtfy(parts, target, secret, message);
        case "mail":
          return sendMail(parts, target, secret, message);
      }
    },
  };
}

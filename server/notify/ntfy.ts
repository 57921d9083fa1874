/**
 * Messages to a phone, by an ntfy server.
 *
 * *Source*: docs.ntfy.sh/publish, "Publish as JSON".
 */
import type { Severity } from "../domain/alert.ts";
import type { ChannelTarget } from "../domain/notification.ts";
import { post, type PostParts } from "./post.ts";
import type { Message } from "./ports.ts";

/** 5 rings through a phone's quiet hours, 3 is a plain notification, 2 makes no sound. */
const PRIORITIES: Readonly<Record<Severity, number>> = { critical: 5, warning: 3, info: 2 };

/** Sends a message. *Throws* SendFailure. */
export async function sendNtfy(
  parts: PostParts,
  target: Extract<ChannelTarget, { kind: "ntfy" }>,
  secret: string,
  message: Message,
): Promise<void> {
  const { server, topic } = splitTopic(new URL(target.url));
  const body = JSON.stringify({
    topic,
    title: message.title,
    message: message.lines.join("\n"),
    priority: PRIORITIES[message.severity],
    ...(message.link !== undefined && { click: message.link }),
  });
  const headers = { "content-type": "application/json", ...(secret !== "" && { authorization: `Bearer ${secret}` }) };
  await post(parts, server, headers, body);
}

/** JSON goes to the server itself and names the topic. */
function splitTopic(url: URL): { readonly server: URL; readonly topic: string } {
  const at = url.pathname.lastIndexOf("/");
  return { server: new URL(url.pathname.slice(0, at + 1), url), topic: decodeURIComponent(url.pathname.slice(at + 1)) };
}

/**
 * Messages for programs: JSON, signed so that the receiver can tell who sent it and when.
 *
 * *Source*: Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks).
 */
import { createHmac } from "node:crypto";
import type { Clock, Random } from "../domain/clock.ts";
import type { ChannelTarget } from "../domain/notification.ts";
import { post, type PostParts } from "./post.ts";
import type { Message } from "./ports.ts";

const SECRET = /^whsec_[A-Za-z0-9+/]{32,400}={0,2}$/;
/** *Units*: bytes. */
const SECRET_LENGTH = 32;

/** A fresh secret of 256 bits. */
export function createWebhookSecret(random: Random): string {
  return `whsec_${Buffer.from(random.bytes(SECRET_LENGTH)).toString("base64")}`;
}

/** True for a secret as the standard writes it, of at least 24 bytes. */
export function isWebhookSecret(secret: string): boolean {
  return SECRET.test(secret);
}

/** Sends a message. *Throws* SendFailure. */
export async function sendWebhook(
  parts: PostParts,
  target: Extract<ChannelTarget, { kind: "webhook" }>,
  secret: string,
  message: Message,
): Promise<void> {
  const body = JSON.stringify(message.facts);
  await post(
    parts,
    new URL(target.url),
    { "content-type": "application/json", ...signatureHeaders(secret, message.id, parts.clock, body) },
    body,
  );
}

function signatureHeaders(secret: string, id: string, clock: Clock, body: string): Record<string, string> {
  const seconds = String(Math.floor(clock.now().getTime() / 1000));
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": `v1,${signature}` };
}

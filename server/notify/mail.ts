/** Messages by mail. */
import { createTransport } from "nodemailer";
import type { Clock } from "../domain/clock.ts";
import type { ChannelTarget } from "../domain/notification.ts";
import { findDestination, type AllowedDestinations, type Lookup } from "./outgoing-policy.ts";
import { SendFailure, type Message } from "./ports.ts";

/** What sending mail works with. */
export interface MailParts {
  readonly allowed: AllowedDestinations;
  readonly lookup: Lookup;
  readonly clock: Clock;
  /** *Units*: milliseconds, for the whole exchange. */
  readonly mailTimeoutMs: number;
  readonly ca?: string | undefined;
}

/** Sends a message. *Throws* SendFailure. */
export async function sendMail(
  parts: MailParts,
  target: Extract<ChannelTarget, { kind: "mail" }>,
  secret: string,
  message: Message,
): Promise<void> {
  const url = new URL(target.server);
  const destination = await findDestination(url.hostname, parts.allowed, parts.lookup);
  const isTlsFromTheStart = url.protocol === "smtps:";
  const transport = createTransport({
    host: destination.address,
    port: Number(url.port || (isTlsFromTheStart ? 465 : 587)),
    secure: isTlsFromTheStart,
    requireTLS: !isTlsFromTheStart && !destination.isListed,
    tls: { servername: url.hostname, ...(parts.ca !== undefined && { ca: parts.ca }) },
    ...(target.username !== "" && { auth: { user: target.username, pass: secret } }),
    connectionTimeout: parts.mailTimeoutMs,
    greetingTimeout: parts.mailTimeoutMs,
    socketTimeout: parts.mailTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const tooSlow = Promise.withResolvers<never>();
  using _timeout = parts.clock.schedule(parts.mailTimeoutMs, () =>
    tooSlow.reject(new SendFailure(`${url.host} took longer than ${parts.mailTimeoutMs / 1000} s.`)),
  );
  const sent = transport.sendMail({
    from: target.from,
    to: [...target.to],
    subject: message.title,
    text: [...message.lines, ...(message.link === undefined ? [] : ["", message.link])].join("\n"),
    messageId: `<${message.id}@rollcall>`,
  });
  try {
    await Promise.race([sent, tooSlow.promise]);
  } catch (error) {
    // Whatever the exchange comes to after its time is nobody's business any more.
    sent.catch(() => undefined);
    throw error instanceof SendFailure ? error : describe(url.host, error);
  } finally {
    transport.close();
  }
}

/** Told by code and status alone: the message holds the other side's words. */
function describe(host: string, error: unknown): SendFailure {
  const { code, responseCode } = error as { readonly code?: string; readonly responseCode?: number };
  const reasons = [code, responseCode].filter((each) => each !== undefined).join(" ");
  const sentence = code === "EAUTH" ? `${host} refused the user name or password` : `${host} did not take the message`;
  return new SendFailure(`${sentence}${reasons === "" ? "" : ` (${reasons})`}.`, error);
}

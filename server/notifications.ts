/** Puts together what sends alerts to people. */
import { lookup } from "node:dns/promises";
import type { Kysely } from "kysely";
import type { Config } from "./config.ts";
import type { Clock, Random } from "./domain/clock.ts";
import type { Durations } from "./domain/durations.ts";
import type { Log } from "./log.ts";
import { ChannelDesk } from "./notify/channel-desk.ts";
import { createChannelSender } from "./notify/channel-sender.ts";
import { NotificationLoop } from "./notify/notification-loop.ts";
import { createChannelStore } from "./store/notification-channels.ts";
import { createNotificationOutbox } from "./store/notification-outbox.ts";
import type { Db } from "./store/schema.ts";

const POST_TIMEOUT_MS = 5_000;
const MAIL_TIMEOUT_MS = 20_000;

/** The loop that sends, not started yet, and the desk of the channels. */
export function createNotifications(parts: {
  readonly db: Kysely<Db>;
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly durations: Durations;
  readonly log: Log;
}): { readonly loop: NotificationLoop; readonly desk: ChannelDesk } {
  const { db, config, clock, random, durations, log } = parts;
  const sender = createChannelSender({
    allowed: config.notifyAllow,
    proxyUrl: config.notifyProxy,
    lookup: (hostname) => lookup(hostname),
    clock,
    timeoutMs: POST_TIMEOUT_MS,
    mailTimeoutMs: MAIL_TIMEOUT_MS,
  });
  const { publicUrl } = config;
  const loop = new NotificationLoop({ outbox: createNotificationOutbox(db), sender, clock, durations, publicUrl, log });
  const store = createChannelStore(db);
  return { loop, desk: new ChannelDesk({ store, sender, random, publicUrl, wake: () => loop.wake() }) };
}

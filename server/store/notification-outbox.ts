/**
 * What waits to be told. Triggers on alerts write it; a row is deleted when it was
 * delivered or given up. A channel is claimed by moving its next attempt away, so a
 * server that dies while it sends only delays that channel, and a message may arrive
 * twice, but never not at all.
 */
import { sql, type Kysely, type Transaction } from "kysely";
import type { ChannelId, HostId } from "../domain/ids.ts";
import type { Delivery, Notification } from "../domain/notification.ts";
import { toAlert } from "./alerts.ts";
import { answered } from "./away.ts";
import { milliseconds } from "./intervals.ts";
import type { Db } from "./schema.ts";

/** Channels that one server sends to at a time. */
const CHANNELS_AT_ONCE = 8;
/** What one message may speak of. */
const NOTIFICATIONS_AT_ONCE = 1_000;

/** The outbox of all servers that share the database. */
export function createNotificationOutbox(db: Kysely<Db>) {
  return {
    claim: (claimMs: number, giveUpAfterMs: number): Promise<readonly Delivery[]> =>
      answered(db.transaction().execute((tx) => claim(tx, claimMs, giveUpAfterMs))),

    delivered: (delivery: Delivery, pauseMs: number): Promise<void> =>
      answered(
        db.transaction().execute(async (tx) => {
          // The channel first, as whoever removes it locks.
          await tx
            .updateTable("notification_channels")
            .set({
              next_attempt_at: sql<Date>`clock_timestamp() + ${milliseconds(pauseMs)}`,
              last_delivered_at: sql<Date>`clock_timestamp()`,
              failures: 0,
              failing_since: null,
              failure: "",
            })
            .where("id", "=", delivery.channelId)
            .execute();
          await tx
            .deleteFrom("notifications")
            .where(
              "id",
              "in",
              delivery.notifications.map(({ id }) => id),
            )
            .execute();
        }),
      ),

    async failed(delivery: Delivery, failure: string, retryMs: number): Promise<void> {
      await answered(
        db
          .updateTable("notification_channels")
          .set({
            next_attempt_at: sql<Date>`clock_timestamp() + ${milliseconds(retryMs)}`,
            failures: sql<number>`failures + 1`,
            failing_since: sql<Date>`coalesce(failing_since, clock_timestamp())`,
            failure,
          })
          .where("id", "=", delivery.channelId)
          .execute(),
      );
    },
  };
}

async function claim(tx: Transaction<Db>, claimMs: number, giveUpAfterMs: number): Promise<readonly Delivery[]> {
  const { rows } = await sql<{ id: ChannelId }>`
    with due as (
      select id from notification_channels
      where next_attempt_at <= clock_timestamp()
        and exists (select from notifications where channel_id = notification_channels.id)
      order by next_attempt_at limit ${CHANNELS_AT_ONCE} for update skip locked
    )
    update notification_channels set next_attempt_at = clock_timestamp() + ${milliseconds(claimMs)}
    from due where notification_channels.id = due.id returning notification_channels.id
  `.execute(tx);
  const deliveries: Delivery[] = [];
  for (const { id } of rows) {
    await dropOld(tx, id, giveUpAfterMs);
    const delivery = await loadDelivery(tx, id);
    if (delivery !== undefined) deliveries.push(delivery);
  }
  return deliveries;
}

async function dropOld(tx: Transaction<Db>, id: ChannelId, giveUpAfterMs: number): Promise<void> {
  const { numDeletedRows } = await tx
    .deleteFrom("notifications")
    .where("channel_id", "=", id)
    .where("created_at", "<", sql<Date>`clock_timestamp() - ${milliseconds(giveUpAfterMs)}`)
    .executeTakeFirst();
  if (numDeletedRows === 0n) return;
  await tx
    .updateTable("notification_channels")
    .set({ dropped: sql<number>`dropped + ${numDeletedRows}` })
    .where("id", "=", id)
    .execute();
}

async function loadDelivery(tx: Transaction<Db>, id: ChannelId): Promise<Delivery | undefined> {
  const channel = await tx
    .selectFrom("notification_channels")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  const rows = await tx
    .selectFrom("notifications")
    .innerJoin("alerts", "alerts.id", "notifications.alert_id")
    .leftJoin("fleet_updates", "fleet_updates.id", "alerts.fleet_update_id")
    // An alert of the fleet names the host at which it halted.
    .leftJoin("hosts", (join) =>
      join.on("hosts.id", "=", sql<HostId>`coalesce(alerts.host_id, fleet_updates.halted_host_id)`),
    )
    .selectAll("alerts")
    .select(["notifications.id as notification_id", "notifications.event", "hosts.hostname"])
    .where("notifications.channel_id", "=", id)
    .orderBy("notifications.id")
    .limit(NOTIFICATIONS_AT_ONCE)
    .execute();
  if (rows.length === 0) return undefined;
  const notifications = rows.map(
    (row): Notification => ({
      id: row.notification_id,
      event: row.event,
      alert: toAlert(row),
      hostname: row.hostname,
    }),
  );
  const { name: channelName, target, secret, failures } = channel;
  return { channelId: id, channelName, target, secret, failures, notifications };
}

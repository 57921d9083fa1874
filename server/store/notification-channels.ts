/** Questions about the channels that alerts are sent to. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import { RefusedError } from "../domain/errors.ts";
import type { ChannelId } from "../domain/ids.ts";
import type { Channel, NewChannel, WantedChannel } from "../domain/notification.ts";
import { answered } from "./away.ts";
import { writeAuditEvent } from "./audit-events.ts";
import type { Db } from "./schema.ts";

/** So that an alert never writes more rows than this. */
const MOST_CHANNELS = 100;

/** Channels, each change in one transaction with its audit event. */
export function createChannelStore(db: Kysely<Db>) {
  const change = <Result>(work: (tx: Transaction<Db>) => Promise<Result>): Promise<Result> =>
    answered(db.transaction().execute(work));
  return {
    listChannels: () => answered(listChannels(db)),

    findTarget: (id: ChannelId) =>
      answered(
        db
          .selectFrom("notification_channels")
          .select(["name", "target", "secret"])
          .where("id", "=", id)
          .executeTakeFirst(),
      ),

    insertChannel: (channel: NewChannel, audit: NewAuditEvent): Promise<Channel> =>
      change(async (tx) => {
        await sql`lock table notification_channels in share row exclusive mode`.execute(tx);
        const channels = await listChannels(tx);
        if (channels.some(({ name }) => name === channel.name))
          throw new RefusedError("channel_name_taken", `There is a channel ${channel.name} already.`, {
            name: channel.name,
          });
        if (channels.length >= MOST_CHANNELS)
          throw new RefusedError("too_many_channels", `There are ${MOST_CHANNELS} channels, the most there may be.`);
        await tx
          .insertInto("notification_channels")
          .values({
            id: channel.id,
            name: channel.name,
            minimum_severity: channel.minimumSeverity,
            target: JSON.stringify(channel.target),
            secret: channel.secret,
            created_by: channel.createdBy,
          })
          .execute();
        await writeAuditEvent(tx, audit);
        return findChannel(tx, channel.id);
      }),

    changeChannel: (
      id: ChannelId,
      wanted: WantedChannel,
      audit: (name: string) => NewAuditEvent,
    ): Promise<Channel | undefined> =>
      change(async (tx) => {
        const changed = await tx
          .updateTable("notification_channels")
          .set({
            minimum_severity: wanted.minimumSeverity,
            target: JSON.stringify(wanted.target),
            ...(wanted.secret !== "" && { secret: wanted.secret }),
            // What failed at the old place says nothing about the new one.
            next_attempt_at: sql<Date>`clock_timestamp()`,
            failures: 0,
            failing_since: null,
            failure: "",
          })
          .where("id", "=", id)
          .returning("name")
          .executeTakeFirst();
        if (changed === undefined) return undefined;
        await writeAuditEvent(tx, audit(changed.name));
        return findChannel(tx, id);
      }),

    removeChannel: (id: ChannelId, audit: (name: string) => NewAuditEvent): Promise<boolean> =>
      change(async (tx) => {
        const removed = await tx
          .deleteFrom("notification_channels")
          .where("id", "=", id)
          .returning("name")
          .executeTakeFirst();
        if (removed !== undefined) await writeAuditEvent(tx, audit(removed.name));
        return removed !== undefined;
      }),
  };
}

async function listChannels(db: Kysely<Db> | Transaction<Db>, id?: ChannelId): Promise<readonly Channel[]> {
  let channels = db
    .selectFrom("notification_channels as channel")
    .selectAll("channel")
    .select((query) =>
      query
        .selectFrom("notifications")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .whereRef("channel_id", "=", "channel.id")
        .as("waiting"),
    );
  if (id !== undefined) channels = channels.where("channel.id", "=", id);
  const rows = await channels.orderBy("channel.name").execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    minimumSeverity: row.minimum_severity,
    target: row.target,
    createdAt: row.created_at,
    createdBy: row.created_by,
    waiting: Number(row.waiting ?? 0),
    dropped: row.dropped,
    lastDeliveredAt: row.last_delivered_at,
    failingSince: row.failing_since,
    failure: row.failure,
  }));
}

async function findChannel(tx: Transaction<Db>, id: ChannelId): Promise<Channel> {
  const [channel] = await listChannels(tx, id);
  if (channel === undefined) throw new Error(`channel ${id} is gone`);
  return channel;
}

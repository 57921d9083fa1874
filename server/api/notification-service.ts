/** NotificationService: the channels that alerts are sent to. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  NotificationChannelSchema,
  type NotificationChannel,
  type NotificationService,
  type NotificationTarget,
  type Severity as WireSeverity,
} from "../../gen/rollcall/v1/notification_pb.js";
import { InvalidFieldError } from "../domain/errors.ts";
import type { ChannelId } from "../domain/ids.ts";
import type { Channel, ChannelTarget, WantedChannel } from "../domain/notification.ts";
import { fromWireSeverity, toWireSeverity } from "../wire/alert-words.ts";
import { callerKey } from "./caller.ts";

/** Where channels are made and changed. */
export interface NotificationServiceParts {
  readonly channels: {
    list(): Promise<readonly Channel[]>;
    create(
      actor: string,
      name: string,
      wanted: WantedChannel,
    ): Promise<{ readonly channel: Channel; readonly madeSecret: string }>;
    change(actor: string, id: ChannelId, wanted: WantedChannel): Promise<Channel>;
    remove(actor: string, id: ChannelId): Promise<void>;
    test(id: ChannelId): Promise<string>;
  };
}

/** Makes the handlers. Requests were checked against their rules and roles before they come here. */
export function createNotificationService({
  channels,
}: NotificationServiceParts): ServiceImpl<typeof NotificationService> {
  return {
    async listNotificationChannels() {
      return { channels: (await channels.list()).map(toWireChannel) };
    },

    async createNotificationChannel(request, context) {
      const actor = context.values.get(callerKey).name;
      const { channel, madeSecret } = await channels.create(actor, request.name, toWanted(request));
      return { channel: toWireChannel(channel), madeSecret };
    },

    async changeNotificationChannel(request, context) {
      const id = request.channelId as ChannelId;
      const channel = await channels.change(context.values.get(callerKey).name, id, toWanted(request));
      return { channel: toWireChannel(channel) };
    },

    async removeNotificationChannel(request, context) {
      await channels.remove(context.values.get(callerKey).name, request.channelId as ChannelId);
      return {};
    },

    async testNotificationChannel(request) {
      return { failure: await channels.test(request.channelId as ChannelId) };
    },
  };
}

function toWanted(request: {
  readonly minimumSeverity: WireSeverity;
  readonly target?: NotificationTarget | undefined;
  readonly secret: string;
}): WantedChannel {
  const minimumSeverity = fromWireSeverity(request.minimumSeverity);
  if (minimumSeverity === undefined) throw new InvalidFieldError("minimumSeverity", "is not a known severity");
  return { minimumSeverity, target: toTarget(request.target), secret: request.secret };
}

function toTarget(wire: NotificationTarget | undefined): ChannelTarget {
  const target = wire?.target;
  switch (target?.case) {
    case "webhook":
    case "ntfy":
      return { kind: target.case, url: target.value.url };
    case "mail": {
      const { server, username, from, to } = target.value;
      return { kind: "mail", server, username, from, to };
    }
    default:
      throw new InvalidFieldError("target", "must name a webhook, an ntfy topic or a mail server");
  }
}

function toWireChannel(channel: Channel): NotificationChannel {
  const { target } = channel;
  const value = target.kind === "mail" ? { ...target, to: [...target.to] } : { url: target.url };
  return create(NotificationChannelSchema, {
    id: channel.id,
    name: channel.name,
    minimumSeverity: toWireSeverity(channel.minimumSeverity),
    target: { target: { case: target.kind, value } as NotificationTarget["target"] },
    createdAt: timestampFromDate(channel.createdAt),
    createdBy: channel.createdBy,
    waiting: channel.waiting,
    dropped: channel.dropped,
    ...(channel.lastDeliveredAt && { lastDeliveredAt: timestampFromDate(channel.lastDeliveredAt) }),
    ...(channel.failingSince && { failingSince: timestampFromDate(channel.failingSince) }),
    failure: channel.failure,
  });
}

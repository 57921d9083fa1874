import type { Alert, Severity } from "./alert.ts";
import type { ChannelId } from "./ids.ts";

/** Where a channel leads. URLs and addresses were checked when it was made. */
export type ChannelTarget =
  | { readonly kind: "webhook"; readonly url: string }
  | { readonly kind: "ntfy"; readonly url: string }
  | {
      readonly kind: "mail";
      /** `smtps://name:port` or `smtp://name:port` */
      readonly server: string;
      readonly username: string;
      readonly from: string;
      readonly to: readonly string[];
    };

/** What somebody wants of a channel. */
export interface WantedChannel {
  /** What is below is not sent. */
  readonly minimumSeverity: Severity;
  readonly target: ChannelTarget;
  /** Empty for none, or to keep the one there is. */
  readonly secret: string;
}

/** A channel about to be made. */
export interface NewChannel extends WantedChannel {
  readonly id: ChannelId;
  readonly name: string;
  readonly createdBy: string;
}

/** A place that alerts are sent to, and how that goes. */
export interface Channel {
  readonly id: ChannelId;
  readonly name: string;
  /** What is below is not sent. */
  readonly minimumSeverity: Severity;
  readonly target: ChannelTarget;
  readonly createdAt: Date;
  readonly createdBy: string;
  /** Notifications not delivered yet. */
  readonly waiting: number;
  /** Notifications that were given up. */
  readonly dropped: number;
  readonly lastDeliveredAt: Date | null;
  /** Null while the last attempt succeeded. */
  readonly failingSince: Date | null;
  /** A sentence; empty while nothing fails. */
  readonly failure: string;
}

/** What became of an alert. */
export type NotificationEvent = "raised" | "resolved";

/** One thing to tell on a channel. */
export interface Notification {
  readonly id: bigint;
  readonly event: NotificationEvent;
  readonly alert: Alert;
  /** The host that it is about, or at which the fleet update halted. */
  readonly hostname: string | null;
}

/** What is to be sent on a channel now. */
export interface Delivery {
  readonly channelId: ChannelId;
  readonly channelName: string;
  readonly target: ChannelTarget;
  /** Empty for none. */
  readonly secret: string;
  /** Attempts that failed since the last one that did not. */
  readonly failures: number;
  /** The oldest that wait, oldest first; at least one. */
  readonly notifications: readonly Notification[];
}

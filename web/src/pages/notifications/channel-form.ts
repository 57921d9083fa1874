/** What somebody enters to have alerts sent somewhere. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Severity,
  type CreateNotificationChannelRequestSchema,
  type NotificationChannel,
} from "../../../../gen/rollcall/v1/notification_pb.js";

/** Kinds of places, as they are offered. */
export const KINDS = [
  { kind: "webhook", word: "Webhook" },
  { kind: "ntfy", word: "ntfy (phone)" },
  { kind: "mail", word: "Mail" },
] as const;

export type Kind = (typeof KINDS)[number]["kind"];

/** What a channel may be told of, from everything to what cannot wait. */
export const SEVERITIES = [
  { severity: Severity.INFO, word: "Everything, also what resolved" },
  { severity: Severity.WARNING, word: "Every alert" },
  { severity: Severity.CRITICAL, word: "Halted fleet updates only" },
] as const;

/** The fields as they stand on the screen. */
export interface ChannelForm {
  readonly kind: Kind;
  readonly name: string;
  readonly severity: Severity;
  /** URL of a webhook or topic, or the mail server. */
  readonly url: string;
  readonly username: string;
  readonly from: string;
  /** Addresses, separated by commas or spaces. */
  readonly to: string;
  readonly secret: string;
}

/** The request that the form stands for; what is wrong with it the server tells. */
export function toRequest(form: ChannelForm): MessageInitShape<typeof CreateNotificationChannelRequestSchema> {
  const to = form.to.split(/[\s,;]+/).filter((address) => address !== "");
  const { username, from } = form;
  const url = form.url.trim();
  const target =
    form.kind === "mail"
      ? ({ case: "mail", value: { server: url, username, from: from.trim(), to } } as const)
      : ({ case: form.kind, value: { url } } as const);
  return { name: form.name.trim(), minimumSeverity: form.severity, target: { target }, secret: form.secret };
}

/** Where a channel leads, in one line. */
export function placeOf({ target }: NotificationChannel): string {
  const place = target?.target;
  switch (place?.case) {
    case "webhook":
    case "ntfy":
      return place.value.url;
    case "mail":
      return `${place.value.to.join(", ")} by ${place.value.server}`;
    default:
      return "";
  }
}

/** What a channel is told of, in words. */
export function severityWord(severity: Severity): string {
  return SEVERITIES.find((each) => each.severity === severity)?.word ?? "";
}

/** What a message says of the alerts it tells of. */
import { titleOfAlert } from "../../gen/alert-title.ts";
import type { Alert, Severity } from "../domain/alert.ts";
import { SEVERITIES } from "../domain/alert.ts";
import type { Notification } from "../domain/notification.ts";
import { toWireAlertKind } from "../wire/alert-words.ts";
import type { Message } from "./ports.ts";

/** Lines that somebody reads on a phone. */
const MOST_LINES = 20;
/** Alerts that one message holds for programs. */
const MOST_FACTS = 100;

/** One message about all of them, the most severe first. `publicUrl` is where people reach the dashboard. */
export function composeMessage(
  channelId: string,
  notifications: readonly Notification[],
  publicUrl: string | undefined,
): Message {
  const sorted = notifications.toSorted((a, b) => rank(severityOf(b)) - rank(severityOf(a)));
  const [first] = sorted;
  if (first === undefined) throw new Error("a message tells of something");
  const lines = sorted.slice(0, MOST_LINES).map(titleOf);
  const unsaid = sorted.length - lines.length;
  const onlyOne = sorted.length === 1;
  return {
    id: `${channelId}.${notifications.at(-1)?.id ?? 0}`,
    severity: severityOf(first),
    title: onlyOne ? titleOf(first) : `${titleOf(first)}, and ${sorted.length - 1} more`,
    lines: [...(onlyOne ? [adviceOf(first)] : lines), ...(unsaid > 0 ? [`… and ${unsaid} more`] : [])],
    link: publicUrl && `${publicUrl}${onlyOne ? pathOf(first.alert) : "/alerts"}`,
    facts: {
      type: "alerts",
      alerts: sorted.slice(0, MOST_FACTS).map((each) => factsOf(each, publicUrl)),
      more: Math.max(0, sorted.length - MOST_FACTS),
    },
  };
}

/** What a test says. */
export function composeTest(channelName: string, id: string, publicUrl: string | undefined): Message {
  const title = `Test of the channel ${channelName}`;
  return {
    id,
    severity: "info",
    title,
    lines: ["Nothing happened: somebody asked Rollcall whether its alerts arrive here."],
    link: publicUrl && `${publicUrl}/settings/notifications`,
    facts: { type: "test", channel: channelName },
  };
}

function severityOf({ event, alert }: Notification): Severity {
  return event === "resolved" ? "info" : alert.severity;
}

function rank(severity: Severity): number {
  return SEVERITIES.indexOf(severity);
}

function titleOf({ event, alert, hostname }: Notification): string {
  const title = titleOfAlert(toWireAlertKind(alert.kind), hostname ?? undefined, alert.reason);
  return event === "resolved" ? `Resolved: ${title}` : title;
}

function adviceOf({ event, alert }: Notification): string {
  if (event === "resolved") return "Nothing is left to do.";
  switch (alert.kind) {
    case "fleet_update_halted":
      return "No further host is updated until somebody looks and starts it again.";
    case "update_failed":
      return "The other hosts were not touched by this.";
    case "host_offline":
      return "It closes by itself when the host reports again.";
    case "duplicate_identity":
      return "No update is sent to it until one of the two is enrolled anew.";
  }
}

/** The page that tells more. */
function pathOf(alert: Alert): string {
  if (alert.kind === "fleet_update_halted" && alert.fleetUpdateId !== null)
    return `/settings/fleet-update/${alert.fleetUpdateId}`;
  return alert.hostId === null ? "/alerts" : `/hosts/${alert.hostId}`;
}

function factsOf(notification: Notification, publicUrl: string | undefined): Readonly<Record<string, unknown>> {
  const { event, alert, hostname } = notification;
  return {
    event,
    id: alert.id,
    kind: alert.kind,
    severity: alert.severity,
    title: titleOf(notification),
    reason: alert.reason,
    hostId: alert.hostId,
    hostname,
    fleetUpdateId: alert.fleetUpdateId,
    jobId: alert.jobId,
    raisedAt: alert.raisedAt.toISOString(),
    resolvedAt: alert.resolvedAt?.toISOString() ?? null,
    link: publicUrl === undefined ? null : `${publicUrl}${pathOf(alert)}`,
  };
}

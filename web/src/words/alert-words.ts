import { AlertKind, type Alert } from "../../../gen/rollcall/v1/attention_pb.js";
import type { Host } from "../../../gen/rollcall/v1/model_pb.js";
import { shortReason } from "./failure-words.ts";
import type { Shape } from "./shapes.ts";

/** What an alert is about, in one line without a full stop. */
export function alertTitle(alert: Alert, hosts: ReadonlyMap<string, Host>): string {
  const host = hosts.get(alert.hostId)?.hostname ?? "a host that was removed";
  switch (alert.kind) {
    case AlertKind.UPDATE_FAILED:
      return `${host} update failed: ${lowerFirst(shortReason(alert.reason))}`;
    case AlertKind.FLEET_UPDATE_HALTED:
      return alert.hostId === ""
        ? `Fleet update halted: ${lowerFirst(shortReason(alert.reason))}`
        : `Fleet update halted at ${host}: ${lowerFirst(shortReason(alert.reason))}`;
    case AlertKind.HOST_OFFLINE:
      return `${host} is offline`;
    case AlertKind.DUPLICATE_IDENTITY:
      return `Two machines use the identity of ${host}`;
    default:
      return `Alert about ${host}`;
  }
}

/** What to do about it, where the alert itself can say. */
export function alertAdvice(alert: Alert): string {
  switch (alert.kind) {
    case AlertKind.UPDATE_FAILED:
      return "It closes by itself when the host reaches the target version.";
    case AlertKind.FLEET_UPDATE_HALTED:
      return "It closes by itself when the next fleet update completes.";
    case AlertKind.HOST_OFFLINE:
      return "It closes by itself when the host reports again.";
    case AlertKind.DUPLICATE_IDENTITY:
      return "No update is sent to it. Remove the copy's credential and enrol that machine anew.";
    default:
      return "";
  }
}

/** The shape of an alert. */
export function alertShape(alert: Alert): Shape {
  return alert.kind === AlertKind.HOST_OFFLINE ? "offline" : "failed";
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

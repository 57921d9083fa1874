/** What an alert is about, in the words of screen and notifications. */
import { AlertKind } from "./rollcall/v1/attention_pb.js";
import { shortReason } from "./short-reason.ts";

/** One line without a full stop. `host` is a hostname; `undefined` for an alert of the fleet. */
export function titleOfAlert(kind: AlertKind, host: string | undefined, reason: string): string {
  const name = host ?? "the fleet";
  switch (kind) {
    case AlertKind.UPDATE_FAILED:
      return `${name} update failed: ${lowerFirst(shortReason(reason))}`;
    case AlertKind.FLEET_UPDATE_HALTED:
      return `Fleet update halted${host === undefined ? "" : ` at ${host}`}: ${lowerFirst(shortReason(reason))}`;
    case AlertKind.HOST_OFFLINE:
      return `${name} is offline`;
    case AlertKind.DUPLICATE_IDENTITY:
      return `Two machines use the identity of ${name}`;
    default:
      return `Alert about ${name}`;
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

import { AlertKind, type Alert } from "../rollcall/v1/attention_pb.js";
import type { Host } from "../rollcall/v1/model_pb.js";
import type { FleetUpdate } from "../rollcall/v1/rollout_pb.js";
import { titleOfAlert } from "../alert-title.ts";
import type { Shape } from "./shapes.ts";

/** Where the names in an alert are looked up. */
export interface Named {
  readonly hosts: Pick<ReadonlyMap<string, Host>, "get">;
  readonly fleetUpdates: readonly FleetUpdate[];
}

/** What an alert is about, in one line without a full stop. */
export function alertTitle(alert: Alert, { hosts, fleetUpdates }: Named): string {
  // A halt is of the fleet and not of the host at which it was.
  const haltedId = fleetUpdates.find(({ id }) => id === alert.fleetUpdateId)?.haltedHostId ?? "";
  const hostId = alert.hostId === "" && hosts.get(haltedId) !== undefined ? haltedId : alert.hostId;
  const host = hosts.get(hostId)?.hostname ?? "a host that was removed";
  return titleOfAlert(alert.kind, hostId === "" ? undefined : host, alert.reason);
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

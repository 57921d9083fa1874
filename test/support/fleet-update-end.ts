import type { Client } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import {
  FleetUpdateHostState,
  FleetUpdateState,
  type GetFleetUpdateResponse,
} from "../../gen/rollcall/v1/rollout_pb.js";
import { watchUntil } from "./watch-until.ts";

/** Watches until the fleet update has ended and every host of it is settled. */
export async function untilFleetUpdateSettled(
  fleet: Client<typeof FleetService>,
  fleetUpdateId: string,
): Promise<GetFleetUpdateResponse> {
  return watchUntil(fleet, async (change) => {
    const isNews = change.case === "caughtUp" || (change.case === "fleetUpdate" && change.value.id === fleetUpdateId);
    if (!isNews) return undefined;
    const found = await fleet.getFleetUpdate({ fleetUpdateId });
    const isRunning = found.fleetUpdate?.state === FleetUpdateState.RUNNING;
    return !isRunning && found.fleetUpdate?.counts?.updating === 0 ? found : undefined;
  });
}

/** One line a host, such as `a SUCCEEDED` or `b FAILED preflight_no_space`. */
export function hostStates(found: GetFleetUpdateResponse): readonly string[] {
  return found.hosts.map(
    (host) => `${host.hostname} ${FleetUpdateHostState[host.state]}${host.reason === "" ? "" : ` ${host.reason}`}`,
  );
}

import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, type Client } from "@connectrpc/connect";
import { systemClock } from "../../agent/clock-system.ts";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { Refusal_Reason, RefusalSchema } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState, type FleetUpdate, type FleetUpdatePolicySchema } from "../../gen/rollcall/v1/rollout_pb.js";

const POLL_MS = 500;

/**
 * Updates every online host that is behind, and waits for the end.
 *
 * *Shape*: `undefined` when there is no such host.
 */
export async function runFleetUpdate(
  client: Client<typeof FleetService>,
  policy: MessageInitShape<typeof FleetUpdatePolicySchema>,
  signal: AbortSignal,
): Promise<FleetUpdate | undefined> {
  const started = await client.startFleetUpdate({ policy }).catch((error: unknown) => {
    const [refusal] = ConnectError.from(error).findDetails(RefusalSchema);
    if (refusal?.reason !== Refusal_Reason.NO_HOSTS) throw error;
  });
  if (started === undefined) return undefined;
  for (;;) {
    const { fleetUpdate } = await client.getFleetUpdate({ fleetUpdateId: started.fleetUpdate?.id ?? "" });
    if (fleetUpdate !== undefined && fleetUpdate.state !== FleetUpdateState.RUNNING) return fleetUpdate;
    await systemClock.sleep(POLL_MS, signal);
  }
}

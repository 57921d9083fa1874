import type { Client } from "@connectrpc/connect";
import type { FleetService, WatchFleetResponse } from "../../gen/rollcall/v1/fleet_pb.js";

/** Looks at the start (`caughtUp`) and at each change that the server tells of, until there is something to see. */
export async function watchUntil<Seen>(
  fleet: Client<typeof FleetService>,
  look: (change: WatchFleetResponse["change"]) => Promise<Seen | undefined>,
): Promise<Seen> {
  const leaving = new AbortController();
  try {
    for await (const { change } of fleet.watchFleet({}, { signal: leaving.signal })) {
      if (change.case === "snapshot") continue;
      const seen = await look(change);
      if (seen !== undefined) return seen;
    }
  } finally {
    leaving.abort();
  }
  throw new Error("the watch ended before there was anything to see");
}

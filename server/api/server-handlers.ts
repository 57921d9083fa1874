import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";

/** What the handlers tell of. */
export interface ServerParts {
  readonly serverVersion: string;
}

/** The server itself. */
export function createServerHandlers({ serverVersion }: ServerParts) {
  return {
    getServer: () => ({ version: serverVersion }),
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}

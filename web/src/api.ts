import { createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AccountService } from "../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { NotificationService } from "../../gen/rollcall/v1/notification_pb.js";

/** The server, as this page talks to it: same origin, binary messages, the session's cookie. */
export interface Api {
  readonly fleet: Client<typeof FleetService>;
  readonly account: Client<typeof AccountService>;
  readonly notifications: Client<typeof NotificationService>;
}

/** Connects to the server that sent this page. */
export function connectApi(): Api {
  const transport = createConnectTransport({ baseUrl: location.origin, useBinaryFormat: true });
  return {
    fleet: createClient(FleetService, transport),
    account: createClient(AccountService, transport),
    notifications: createClient(NotificationService, transport),
  };
}

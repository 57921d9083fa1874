import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";

/** FleetService as any outside program sees it. */
export type FleetClient = Client<typeof FleetService>;

/** A client that speaks Connect JSON, as the README's curl lines do. */
export function connectFleet(webUrl: string, token: string): FleetClient {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: webUrl,
    httpVersion: "1.1",
    useBinaryFormat: false,
    interceptors: [authorize],
  });
  return createClient(FleetService, transport);
}

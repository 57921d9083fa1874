/** What is served on the web listener: FleetService, health, and nothing else yet. */
import type { ServerResponse } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { CallerDirectory } from "./caller.ts";
import { createEdgeInterceptor } from "./edge-interceptor.ts";
import { createFleetService, type FleetServiceParts } from "./fleet-service.ts";
import type { RequestHandler } from "./web-listener.ts";

/** What the handler works with. */
export interface WebHandlerParts extends FleetServiceParts {
  readonly callers: CallerDirectory;
  readonly logFailure: (method: string, error: unknown) => void;
  /** Names that a request may call this server by, without port. */
  readonly hostnames: ReadonlySet<string>;
}

/** *Units*: bytes. */
const MAX_MESSAGE_BYTES = 1_048_576;

/** Makes the handler. A request under a foreign name is refused: a browser was led here by somebody else's DNS. */
export function createWebHandler(parts: WebHandlerParts): RequestHandler {
  const rpc = connectNodeAdapter({
    routes: (router) => router.service(FleetService, createFleetService(parts)),
    interceptors: [createEdgeInterceptor(parts)],
    readMaxBytes: MAX_MESSAGE_BYTES,
    fallback: (_request, response) => {
      response.writeHead(404, { "content-type": "text/plain" });
      response.end("not found\n");
    },
  });
  return (request, anyResponse) => {
    // Both kinds of response share what is used here, but their overloads do not unify.
    const response = anyResponse as ServerResponse;
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    const authority = request.headers[":authority"] ?? request.headers.host ?? "";
    if (!parts.hostnames.has(hostnameOf(String(authority)))) {
      response.writeHead(421, { "content-type": "text/plain" });
      response.end("this server does not go by that name\n");
      return;
    }
    if (request.url === "/healthz") {
      response.writeHead(200, { "content-type": "text/plain" });
      response.end("ok\n");
      return;
    }
    rpc(request, anyResponse);
  };
}

/** The name in `name:port` or `[address]:port`. */
function hostnameOf(authority: string): string {
  return authority.replace(/:\d+$/, "").toLowerCase();
}

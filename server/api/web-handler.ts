/** What is served on the web listener: our services, gRPC's own, the dashboard, the files of releases, metrics and a health page. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { DescService } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { AccountService } from "../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { NotificationService } from "../../gen/rollcall/v1/notification_pb.js";
import type { ServingStatus } from "../wire/serving-status.ts";
import { STANDARD_SERVICES } from "../wire/standard-services.ts";
import { createAccountService, type AccountServiceParts } from "./account-service.ts";
import type { Dashboard } from "./dashboard.ts";
import { checkBodies } from "./check-bodies.ts";
import { answerDownload, type DownloadParts } from "./downloads.ts";
import { createEdgeInterceptor, type EdgeParts } from "./edge-interceptor.ts";
import { createFleetService, type FleetServiceParts } from "./fleet-service.ts";
import { answerMetrics, type MetricsParts } from "./metrics-page.ts";
import { createNotificationService, type NotificationServiceParts } from "./notification-service.ts";
import { plainAddress, readRequestFacts, requestFactsKey, type Reach } from "./request-facts.ts";
import { routeStandardServices } from "./standard-services.ts";
import type { RequestHandler } from "./web-listener.ts";

/** What the handler works with. */
export interface WebHandlerParts
  extends FleetServiceParts,
    AccountServiceParts,
    NotificationServiceParts,
    EdgeParts,
    DownloadParts,
    MetricsParts {
  readonly serving: ServingStatus;
  readonly dashboard: Dashboard;
  /** Names that a request may call this server by, without port. */
  readonly hostnames: ReadonlySet<string>;
  readonly reach: Reach;
}

/** Everything that the web listener serves. */
export const WEB_SERVICES: readonly DescService[] = [
  FleetService,
  AccountService,
  NotificationService,
  ...STANDARD_SERVICES,
];

/** Paths of requests that bring more than one message may hold. */
export const UPLOAD_PATHS: ReadonlySet<string> = new Set([
  `/${FleetService.typeName}/${FleetService.method.importRelease.name}`,
]);

/** *Units*: bytes. */
const MAX_MESSAGE_BYTES = 1_048_576;
const COMPRESSIONS = [compressionGzip, compressionBrotli];

/** A browser that shows an answer of the API may load and frame nothing. The dashboard's page says what it may. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** *Units*: seconds. A year. */
const STRICT_TRANSPORT_SECURITY = "max-age=31536000";

/** Makes the handler. A request under a foreign name is refused: a browser was led here by somebody else's DNS. */
export function createWebHandler(parts: WebHandlerParts): RequestHandler {
  const { reach } = parts;
  const factsOf = (request: IncomingMessage | Http2ServerRequest) =>
    readRequestFacts(request.headers, request.socket.remoteAddress, authorityOf(request), reach);
  const rpc = connectNodeAdapter({
    routes: (router) => {
      router.service(FleetService, createFleetService(parts));
      router.service(AccountService, createAccountService(parts));
      router.service(NotificationService, createNotificationService(parts));
      routeStandardServices(router, WEB_SERVICES, parts.serving);
      checkBodies(router, { readMaxBytes: MAX_MESSAGE_BYTES, compressions: COMPRESSIONS });
    },
    interceptors: [createEdgeInterceptor(parts)],
    contextValues: (request) => createContextValues().set(requestFactsKey, factsOf(request)),
    readMaxBytes: MAX_MESSAGE_BYTES,
    acceptCompression: [...COMPRESSIONS],
    // A misspelt field is a mistake to be told of, not one to pass over.
    jsonOptions: { ignoreUnknownFields: false },
    fallback: (_request, response) => answer(response as ServerResponse, 404, "not found"),
  });
  return (request, anyResponse) => {
    // Both kinds of response share what is used here, but their overloads do not unify.
    const response = anyResponse as ServerResponse;
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    response.setHeader("content-security-policy", CONTENT_SECURITY_POLICY);
    response.setHeader("referrer-policy", "no-referrer");
    if (factsOf(request).isSecure) response.setHeader("strict-transport-security", STRICT_TRANSPORT_SECURITY);
    const name = hostnameOf(authorityOf(request));
    if (!parts.hostnames.has(name) && name !== bracketed(plainAddress(request.socket.localAddress ?? ""))) {
      answer(response, 421, "this server does not go by that name");
    } else if (request.url === "/healthz") {
      answer(response, 200, "ok");
    } else if (
      !answerDownload(parts, request, response, factsOf(request)) &&
      !answerMetrics(parts, request, response, factsOf(request)) &&
      !parts.dashboard.answer(request, response)
    ) {
      rpc(request, anyResponse);
    }
  };
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" });
  response.end(`${text}\n`);
}

/** What the request calls this server, in lower case. */
function authorityOf(request: IncomingMessage | Http2ServerRequest): string {
  return String(request.headers[":authority"] ?? request.headers.host ?? "").toLowerCase();
}

/** The name in `name:port` or `[address]:port`. */
function hostnameOf(authority: string): string {
  return authority.replace(/:\d+$/, "");
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/**
 * `/metrics`, for Prometheus: the numbers of this server, for whoever may look at the
 * fleet. It takes a token on loopback too: behind a proxy everybody comes from there.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "../../gen/rollcall/v1/options_pb.js";
import type { CallerDirectory } from "./caller.ts";
import { identifyCaller } from "./identify-caller.ts";
import { PlainRefusal, refusePlainly } from "./plain-refusal.ts";
import type { RequestFacts } from "./request-facts.ts";

/** What the page works with. */
export interface MetricsParts {
  readonly callers: CallerDirectory;
  readonly metrics: {
    readonly contentType: string;
    /** The whole page. */
    render(): Promise<string>;
  };
  readonly logFailure: (method: string, error: unknown) => void;
}

type Request = IncomingMessage | Http2ServerRequest;

/** Answers a request for the numbers; false, and nothing sent, for any other. */
export function answerMetrics(
  parts: MetricsParts,
  request: Request,
  response: ServerResponse,
  facts: RequestFacts,
): boolean {
  if (request.url !== "/metrics") return false;
  serve(parts, request, response, facts).catch((error: unknown) =>
    refusePlainly(response, error, (unforeseen) => parts.logFailure("metrics", unforeseen)),
  );
  return true;
}

async function serve(
  { callers, metrics }: MetricsParts,
  request: Request,
  response: ServerResponse,
  facts: RequestFacts,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD")
    throw new PlainRefusal(405, "only GET and HEAD", { allow: "GET, HEAD" });
  if (!facts.mayUseCookies) throw new PlainRefusal(403, "tokens may cross a network under TLS only");
  const { authorization, cookie } = request.headers;
  const headers = { authorization: authorization ?? null, cookie: cookie ?? null, contentType: null };
  const caller = await identifyCaller(callers, headers, facts);
  if (caller.role < Role.VIEWER)
    throw new ConnectError("Send an API token: `authorization: Bearer …`.", Code.Unauthenticated);
  const page = await metrics.render();
  response.writeHead(200, { "content-type": metrics.contentType, "content-length": Buffer.byteLength(page) });
  response.end(request.method === "HEAD" ? undefined : page);
}

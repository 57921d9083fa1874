/** One POST to where an admin said: one address, one answer, whose body nobody reads. */
import { request as requestHttp, type ClientRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as requestHttps, Agent } from "node:https";
import type { Clock } from "../domain/clock.ts";
import { isIP } from "node:net";
import { findDestination, type AllowedDestinations, type Destination, type Lookup } from "./outgoing-policy.ts";
import { SendFailure } from "./ports.ts";

/** What posting works with. */
export interface PostParts {
  readonly allowed: AllowedDestinations;
  readonly lookup: Lookup;
  readonly clock: Clock;
  /** `http://name:port` of a proxy that everything goes through; it then resolves the names. */
  readonly proxyUrl: string | undefined;
  /** *Units*: milliseconds, from resolving the name to the answer's head. */
  readonly timeoutMs: number;
  /** Certificates to trust besides the public ones. *Shape*: PEM. */
  readonly ca?: string | undefined;
}

/**
 * Posts `body`.
 *
 * *Throws* SendFailure unless the answer's status is one of success. Redirects are not followed.
 */
export async function post(
  parts: PostParts,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<void> {
  const ended = new AbortController();
  using _timeout = parts.clock.schedule(parts.timeoutMs, () => ended.abort());
  const destination = await untilAborted(judge(parts, url), ended.signal, parts);
  if (url.protocol !== "https:" && destination?.isListed !== true)
    throw new SendFailure(`${url.host} must be reached by https.`);
  const status = await exchange(parts, url, destination, headers, body, ended.signal);
  if (status >= 200 && status < 300) return;
  if (status >= 300 && status < 400)
    throw new SendFailure(`${url.host} answered with a redirect (${status}), and redirects are not followed.`);
  throw new SendFailure(`${url.host} answered ${status}.`);
}

/** Where to connect; `undefined` where the proxy resolves the name. */
async function judge(parts: PostParts, url: URL): Promise<Destination | undefined> {
  const isAddress = isIP(url.hostname.replace(/^\[|\]$/g, "")) !== 0;
  const isProxied = parts.proxyUrl !== undefined;
  if (isProxied && !isAddress) return undefined;
  const destination = await findDestination(url.hostname, parts.allowed, parts.lookup);
  return isProxied ? undefined : destination;
}

function exchange(
  parts: PostParts,
  url: URL,
  destination: Destination | undefined,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  const options: RequestOptions = {
    method: "POST",
    headers: { ...headers, "content-length": String(Buffer.byteLength(body)), "user-agent": "Rollcall" },
    signal,
    ...(destination && {
      agent: false,
      autoSelectFamily: false,
      // The address that was judged, whatever the name means by now.
      lookup: (_hostname, _options, answer) => answer(null, destination.address, destination.family),
    }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = start(parts, url, options);
  request.on("response", (response: IncomingMessage) => {
    response.on("error", () => undefined).destroy();
    resolve(response.statusCode ?? 0);
  });
  request.on("error", (error) => reject(signal.aborted ? tooSlow(url.host, parts) : unreachable(url.host, error)));
  request.end(body);
  return promise;
}

function start(parts: PostParts, url: URL, options: RequestOptions): ClientRequest {
  const tls = parts.ca === undefined ? {} : { ca: parts.ca };
  const { proxyUrl } = parts;
  if (proxyUrl === undefined)
    return url.protocol === "https:" ? requestHttps(url, { ...options, ...tls }) : requestHttp(url, options);
  const agent = new Agent({ ...tls, proxyEnv: { HTTPS_PROXY: proxyUrl, HTTP_PROXY: proxyUrl } });
  return requestHttps(url, { ...options, agent });
}

async function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal, parts: PostParts): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const give = (): void => reject(tooSlow("The name's lookup", parts));
  signal.addEventListener("abort", give, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", give);
  }
}

function tooSlow(what: string, { timeoutMs }: PostParts): SendFailure {
  return new SendFailure(`${what} gave no answer within ${timeoutMs / 1000} s.`);
}

/** Told by its code alone: a message may hold what the other side sent. */
function unreachable(host: string, error: Error): SendFailure {
  const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
  return new SendFailure(`${host} can't be reached${code}.`, error);
}

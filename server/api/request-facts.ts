/**
 * What the connection and the headers say of a request, beside who sends it: from
 * where, how safely, and whether a page of ours sent it.
 *
 * SameSite keeps cookies from other sites, but takes every port of a host, and every
 * host of a domain, for one site. So a request with a cookie has to show, by headers
 * that no page can forge, that it comes from this very origin.
 *
 * *Source*: the Fetch standard (Origin) and Fetch Metadata (Sec-Fetch-Site).
 */
import { createContextKey } from "@connectrpc/connect";
import type { IncomingHttpHeaders } from "node:http";

/** Whose page sent a request. `unknown` for programs, which say nothing about it. */
type PageOrigin = "own" | "foreign" | "unknown";

export interface RequestFacts {
  /** Who sent it; behind a trusted proxy whom that names. */
  readonly address: string;
  readonly userAgent: string;
  /** TLS all the way to us or to the trusted proxy. */
  readonly isSecure: boolean;
  /** Secure, or never on a network at all. */
  readonly mayUseCookies: boolean;
  readonly pageOrigin: PageOrigin;
  /** `scheme://name[:port]` under which the sender reached this server. */
  readonly origin: string;
}

/** How this server is reached. */
export interface Reach {
  readonly isTls: boolean;
  /** The only peer there is, and believed, when set. */
  readonly trustedProxy: string | undefined;
  /** `https://name[:port]`, where people reach this server. */
  readonly publicOrigin: string | undefined;
}

const NOTHING_KNOWN: RequestFacts = {
  address: "",
  userAgent: "",
  isSecure: false,
  mayUseCookies: false,
  pageOrigin: "foreign",
  origin: "",
};

/** Where the web handler leaves the facts for interceptor and handlers. */
export const requestFactsKey = createContextKey<RequestFacts>(NOTHING_KNOWN, { description: "request facts" });

/** *Units*: characters of what a browser calls itself. */
const USER_AGENT_LENGTH = 200;

/** Reads the facts. `peerAddress` is the socket's; `authority` is what the request calls this server. */
export function readRequestFacts(
  headers: IncomingHttpHeaders,
  peerAddress: string | undefined,
  authority: string,
  reach: Reach,
): RequestFacts {
  const isProxied = reach.trustedProxy !== undefined;
  const forwarded = (name: string): string | undefined =>
    // The last entry is the proxy's own; those before it are the client's to invent.
    isProxied
      ? String(headers[name] ?? "")
          .split(",")
          .at(-1)
          ?.trim() || undefined
      : undefined;
  const isSecure = reach.isTls || forwarded("x-forwarded-proto") === "https";
  const origin = `${isSecure ? "https" : "http"}://${authority}`;
  return {
    address: plainAddress(forwarded("x-forwarded-for") ?? peerAddress ?? ""),
    userAgent: oneLine(headers["user-agent"] ?? ""),
    isSecure,
    mayUseCookies: isSecure || !isProxied,
    pageOrigin: pageOriginOf(headers, [origin, reach.publicOrigin]),
    origin,
  };
}

function pageOriginOf(headers: IncomingHttpHeaders, ownOrigins: readonly (string | undefined)[]): PageOrigin {
  const site = headers["sec-fetch-site"];
  if (site === "same-origin") return "own";
  const { origin } = headers;
  if (origin !== undefined) return ownOrigins.includes(origin.toLowerCase()) ? "own" : "foreign";
  return site === undefined || site === "none" ? "unknown" : "foreign";
}

/** An IPv4 address is itself, also where the socket speaks IPv6. */
export function plainAddress(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  return /^[0-9A-Fa-f.:]{1,45}$/.test(plain) ? plain : "unknown";
}

function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, USER_AGENT_LENGTH);
}

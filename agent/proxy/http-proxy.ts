/** An HTTP proxy, through which a host reaches its servers by CONNECT. */

/** One proxy. */
export interface HttpProxy {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** `user:password`; never told to anybody but the proxy. */
  readonly credentials: string | undefined;
}

const DEFAULT_PORT = 80;

/** Reads `http://[user:password@]host[:port]`, the two percent-encoded; `undefined` for anything else. */
export function parseHttpProxy(text: string): HttpProxy | undefined {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "http:" || url.hostname === "" || url.port === "0") return undefined;
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") return undefined;
  const credentials = decodeCredentials(url.username, url.password);
  if (credentials === null) return undefined;
  const port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port, credentials };
}

/** `host:port`, for people and for dialling; without the credentials. */
export function proxyAddress(proxy: HttpProxy): string {
  return `${proxy.host.includes(":") ? `[${proxy.host}]` : proxy.host}:${proxy.port}`;
}

/** *Shape*: `null` when they are none. A user's name has no colon, for the first one ends it (RFC 7617). */
function decodeCredentials(username: string, password: string): string | undefined | null {
  if (username === "" && password === "") return undefined;
  try {
    const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
    return /[:\p{Cc}]/u.test(user) || /\p{Cc}/u.test(secret) ? null : `${user}:${secret}`;
  } catch {
    return null;
  }
}

/**
 * The cookie that carries a session. No script can read it and no other site sends it.
 * Under TLS its name begins with `__Host-`, which browsers accept from this very host
 * over TLS only; on loopback, without TLS, it goes by a plain name.
 *
 * *Source*: RFC 6265bis, sections 4.1 and 5.7.
 */
import type { RequestFacts } from "./request-facts.ts";

const NAME = "rollcall_session";
const SECRET = /^rc_session_[A-Za-z0-9_-]{43}$/;

function nameFor(facts: Pick<RequestFacts, "isSecure">): string {
  return facts.isSecure ? `__Host-${NAME}` : NAME;
}

/** The secret in a request's `Cookie` header. *Shape*: `undefined` when there is none, or several. */
export function readSessionCookie(
  cookies: string | null,
  facts: Pick<RequestFacts, "isSecure" | "mayUseCookies">,
): string | undefined {
  if (cookies === null || !facts.mayUseCookies) return undefined;
  const prefix = `${nameFor(facts)}=`;
  const found = cookies
    .split(";")
    .map((cookie) => cookie.trim())
    .filter((cookie) => cookie.startsWith(prefix));
  const secret = found.length === 1 ? found[0]?.slice(prefix.length) : undefined;
  return secret !== undefined && SECRET.test(secret) ? secret : undefined;
}

/** A `Set-Cookie` header that begins a session. *Units*: `lifeMs` in milliseconds. */
export function sessionCookie(secret: string, lifeMs: number, facts: Pick<RequestFacts, "isSecure">): string {
  return `${nameFor(facts)}=${secret}; Path=/; Max-Age=${Math.floor(lifeMs / 1000)}; HttpOnly; SameSite=Strict${facts.isSecure ? "; Secure" : ""}`;
}

/** A `Set-Cookie` header that ends it. */
export function expiredSessionCookie(facts: Pick<RequestFacts, "isSecure">): string {
  return sessionCookie("", 0, facts);
}

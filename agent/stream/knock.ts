/**
 * Asks whether a server answers at all, before a channel is opened to one that did
 * not the last time. A grpc-js channel that is closed while it connects leaves its
 * connection open, and one that failed to connect dials once more: a fleet whose server
 * was away would greet it with connections that nobody uses, and the server would spend
 * its patience for strangers on them.
 */
import { once } from "node:events";
import { connect } from "node:net";
import type { Clock } from "../clock.ts";
import type { HttpProxy } from "../proxy/http-proxy.ts";
import { requestTunnel } from "../proxy/request-tunnel.ts";

/**
 * Resolves once a TCP connection to `host:port` came about, through `proxy` where
 * there is one, and closes it.
 *
 * *Throws* the system's error; Error with the proxy's answer, or when nothing came within `limitMs`; the signal's reason.
 */
export async function knock(
  server: string,
  proxy: HttpProxy | undefined,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const decided = new AbortController();
  const socket = connect(proxy === undefined ? splitAddress(server) : { host: proxy.host, port: proxy.port });
  try {
    const limit = clock.sleep(limitMs, AbortSignal.any([signal, decided.signal])).then(() => {
      throw new Error(`no answer within ${limitMs} ms`);
    });
    const answer = once(socket, "connect").then(() => proxy && requestTunnel(socket, proxy, server, limitMs));
    await Promise.race([answer, limit]);
  } finally {
    decided.abort(new Error("decided"));
    // The race is over: what still fails concerns nobody.
    socket.on("error", () => undefined);
    socket.destroy();
  }
}

function splitAddress(server: string): { readonly host: string; readonly port: number } {
  const colon = server.lastIndexOf(":");
  return { host: server.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(server.slice(colon + 1)) };
}

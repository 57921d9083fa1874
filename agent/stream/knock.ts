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

/**
 * Resolves once a TCP connection to `host:port` came about, and closes it.
 *
 * *Throws* the system's error; Error when nothing came within `limitMs`; the signal's reason.
 */
export async function knock(server: string, limitMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const colon = server.lastIndexOf(":");
  const host = server.slice(0, colon).replace(/^\[|\]$/g, "");
  const decided = new AbortController();
  const socket = connect({ host, port: Number(server.slice(colon + 1)) });
  try {
    const limit = clock.sleep(limitMs, AbortSignal.any([signal, decided.signal])).then(() => {
      throw new Error(`no answer within ${limitMs} ms`);
    });
    await Promise.race([once(socket, "connect"), limit]);
  } finally {
    decided.abort(new Error("decided"));
    // The race is over: what still fails concerns nobody.
    socket.on("error", () => undefined);
    socket.destroy();
  }
}

/**
 * The port that browsers, curl and other services use. One port speaks HTTP/1.1 and
 * HTTP/2 without TLS: the first bytes of a connection tell which, since HTTP/2 with
 * prior knowledge always begins with the same preface.
 *
 * *Source*: RFC 9113, section 3.4.
 */
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";

/** Answers one request of either protocol. */
export type RequestHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

/** A bound web listener. Disposing ends every connection. */
export interface WebListener extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
}

/** *Units*: milliseconds. */
const FIRST_BYTES_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const PREFACE = Buffer.from("PRI * HTTP/2.0");

/** Listens. *Throws* Error when the address can't be bound. */
export async function listenForWeb(host: string, port: number, handler: RequestHandler): Promise<WebListener> {
  const http1 = createHttpServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }, handler);
  const http2 = createHttp2Server({ maxSessionMemory: 10, settings: { maxConcurrentStreams: 100 } }, handler);
  const sockets = new Set<Socket>();
  const tcp = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    routeByPreface(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit("connection", socket));
  });
  tcp.listen({ host, port });
  await once(tcp, "listening");
  const bound = tcp.address() as AddressInfo;
  return {
    address: { host: bound.address, port: bound.port },
    async [Symbol.asyncDispose]() {
      const closed = once(tcp, "close");
      tcp.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function routeByPreface(socket: Socket, route: (isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0);
  socket.setTimeout(FIRST_BYTES_TIMEOUT_MS, () => socket.destroy());
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const compared = Math.min(head.length, PREFACE.length);
    const isHttp2 = head.subarray(0, compared).equals(PREFACE.subarray(0, compared));
    if (isHttp2 && compared < PREFACE.length) return;
    socket.off("readable", read);
    socket.setTimeout(0);
    socket.removeAllListeners("timeout");
    socket.unshift(head);
    route(isHttp2);
  };
  socket.on("readable", read);
}

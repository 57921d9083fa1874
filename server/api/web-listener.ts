/**
 * The port that browsers, curl and other services use. One port speaks HTTP/1.1 and
 * HTTP/2. Under TLS the two agree on one while they shake hands (ALPN). Without TLS
 * the first bytes of a connection tell which, since HTTP/2 with prior knowledge always
 * begins with the same preface.
 *
 * *Source*: RFC 7301; RFC 9113, section 3.4.
 */
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Clock } from "../domain/clock.ts";
import { watchBody } from "./body-deadline.ts";
import { plainAddress } from "./request-facts.ts";

/** Answers one request of either protocol. */
export type RequestHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

/** A certificate chain and its key. *Shape*: PEM. */
interface CertificatePem {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Where and how to listen. */
export interface WebListenOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly handler: RequestHandler;
  /** Speaks TLS with it; plain without. */
  readonly certificate?: CertificatePem | undefined;
  /** The only address that may connect, when set. */
  readonly onlyPeer?: string | undefined;
  readonly timeouts?: Partial<WebTimeouts>;
  readonly clock: Clock;
  /** Paths whose requests may bring a body of any length, as long as it moves. */
  readonly uploadPaths?: ReadonlySet<string>;
}

/** *Units*: milliseconds. */
export interface WebTimeouts {
  /** From the connection to the end of TLS, or to the first bytes without it. */
  readonly firstBytesMs: number;
  readonly headersMs: number;
  /** The body of one HTTP/1.1 request; of an upload, UPLOAD_LEAST_BYTES of it. */
  readonly requestMs: number;
}

/** A bound web listener. Disposing ends every connection. */
export interface WebListener extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
  /** New connections are served this certificate. Without TLS nothing happens. */
  renewCertificate(certificate: CertificatePem): void;
}

const TIMEOUTS: WebTimeouts = { firstBytesMs: 10_000, headersMs: 10_000, requestMs: 30_000 };
/** *Units*: bytes that an upload brings in each `requestMs`. */
const UPLOAD_LEAST_BYTES = 65_536;
const PREFACE = Buffer.from("PRI * HTTP/2.0");

/** Listens. *Throws* Error when the address can't be bound. */
export async function listenForWeb(options: WebListenOptions): Promise<WebListener> {
  const { certificate, handler, onlyPeer, clock, uploadPaths } = options;
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const http1 = createHttpServer(
    {
      headersTimeout: timeouts.headersMs,
      // It would count for every request alike; `watchBody` knows uploads.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(1_000, timeouts.headersMs),
    },
    (request, response) => {
      const leastBytes = uploadPaths?.has(request.url ?? "") === true ? UPLOAD_LEAST_BYTES : 0;
      watchBody(request, clock, { spanMs: timeouts.requestMs, leastBytes });
      handler(request, response);
    },
  );
  // It never listens itself, and only then does Node look after its timeouts.
  http1.emit("listening");
  const http2 = createHttp2Server({ maxSessionMemory: 10, settings: { maxConcurrentStreams: 100 } }, handler);
  const serve = (socket: Socket, isHttp2: boolean): void => void (isHttp2 ? http2 : http1).emit("connection", socket);

  const sockets = new Set<Socket>();
  const accept = (socket: Socket): boolean => {
    if (onlyPeer !== undefined && plainAddress(socket.remoteAddress ?? "") !== onlyPeer) {
      socket.resetAndDestroy();
      return false;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    return true;
  };
  const server =
    certificate === undefined
      ? createServer({ noDelay: true }, (socket) => {
          if (accept(socket)) routeByPreface(socket, timeouts.firstBytesMs, (isHttp2) => serve(socket, isHttp2));
        })
      : listenByTls(certificate, timeouts.firstBytesMs, accept, serve);
  server.listen({ host: options.host, port: options.port });
  await once(server, "listening");
  const bound = server.address() as AddressInfo;
  return {
    address: { host: bound.address, port: bound.port },
    renewCertificate: ({ certPem, keyPem }) => {
      if ("setSecureContext" in server) server.setSecureContext({ cert: certPem, key: keyPem, minVersion: "TLSv1.2" });
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      http1.close();
      await closed;
    },
  };
}

function listenByTls(
  { certPem, keyPem }: CertificatePem,
  handshakeTimeout: number,
  accept: (socket: Socket) => boolean,
  serve: (socket: TLSSocket, isHttp2: boolean) => void,
): ReturnType<typeof createTlsServer> {
  const server = createTlsServer(
    {
      cert: certPem,
      key: keyPem,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout,
      noDelay: true,
    },
    (socket) => {
      socket.on("error", () => socket.destroy());
      serve(socket, socket.alpnProtocol === "h2");
    },
  );
  // Before TLS, which hears the same event later: what is refused here costs no handshake.
  server.prependListener("connection", (socket: Socket) => void accept(socket));
  // A handshake that fails is the client's affair; unheard it would end the process.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

function routeByPreface(socket: Socket, timeoutMs: number, route: (isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0);
  socket.setTimeout(timeoutMs, () => socket.destroy());
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

/** An HTTP proxy that passes on what CONNECT asks for, as the ones of companies do. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { findQuietPort } from "./quiet-port.ts";

/** One CONNECT that came. */
export interface TunnelRequest {
  /** `host:port` */
  readonly server: string;
  /** What `Proxy-Authorization` held. */
  readonly authorization: string | undefined;
  /** Bytes that were passed on from the server so far. */
  bytesDown: number;
}

/** A running proxy. */
export interface ConnectProxy extends AsyncDisposable {
  readonly port: number;
  /** In the order they came. */
  readonly requests: readonly TunnelRequest[];
  /** When set, every request gets this status line's end instead of a tunnel, such as `403 Forbidden`. */
  refusal: string | undefined;
  /** When set, tunnels lead to this port of the loopback interface, whatever was asked for. */
  divertTo: number | undefined;
  /** Breaks every tunnel and listens no more. */
  leave(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<void>;
}

/** Starts one on a free port. It listens at the address, by default a loopback one, and leads to it. */
export async function startConnectProxy(address = "127.0.0.1"): Promise<ConnectProxy> {
  const requests: TunnelRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => response.writeHead(405).end());
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  };
  server.on("connection", keep);
  server.on("connect", (request: IncomingMessage, client: Socket) => {
    const tunnel: TunnelRequest = {
      server: request.url ?? "",
      authorization: request.headers["proxy-authorization"],
      bytesDown: 0,
    };
    requests.push(tunnel);
    if (proxy.refusal !== undefined) {
      client.end(`HTTP/1.1 ${proxy.refusal}\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const target = new URL(`http://${tunnel.server}`);
    const upstream = connect({ host: address, port: proxy.divertTo ?? Number(target.port) });
    keep(upstream);
    upstream.once("connect", () => client.write("HTTP/1.1 200 Connection established\r\n\r\n"));
    upstream.once("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
    upstream.on("data", (chunk: Buffer) => (tunnel.bytesDown += chunk.length));
    upstream.once("connect", () => {
      client.pipe(upstream);
      upstream.pipe(client);
    });
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.end());
  });
  const listen = async (port: number): Promise<number> => {
    server.listen({ host: address, port });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const leave = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const port = await listen(await findQuietPort());
  const proxy: ConnectProxy = {
    port,
    requests,
    refusal: undefined,
    divertTo: undefined,
    leave,
    comeBack: async () => void (await listen(port)),
    [Symbol.asyncDispose]: leave,
  };
  return proxy;
}

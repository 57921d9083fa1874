import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A network between agent and server that can be cut, silenced or slowed. */
export interface TcpProxy extends AsyncDisposable {
  /** `<host>:<port>` to connect to instead of the server's. */
  readonly address: string;
  /** Resets every connection, as seen from the server. */
  reset(): void;
  /** Carries nothing more in either direction, without closing anything. */
  freeze(): void;
  /** Takes nothing more from the server, while the agent is still heard. */
  stopReading(): void;
}

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const upstreams = new Set<Socket>();
  const downstreams = new Set<Socket>();
  const server = createServer((downstream) => {
    const upstream = connect({ host: "127.0.0.1", port: targetPort });
    upstreams.add(upstream);
    downstreams.add(downstream);
    for (const [socket, other] of [
      [upstream, downstream],
      [downstream, upstream],
    ] as const) {
      socket.on("error", () => {});
      socket.on("close", () => other.destroy());
      socket.pipe(other);
    }
    upstream.on("close", () => upstreams.delete(upstream));
    downstream.on("close", () => downstreams.delete(downstream));
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const silence = (sockets: Iterable<Socket>): void => {
    for (const socket of sockets) {
      socket.unpipe();
      socket.pause();
    }
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    reset: () => {
      for (const socket of upstreams) socket.resetAndDestroy();
    },
    freeze: () => {
      silence(upstreams);
      silence(downstreams);
    },
    stopReading: () => silence(upstreams),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of [...upstreams, ...downstreams]) socket.destroy();
      await closed;
    },
  };
}

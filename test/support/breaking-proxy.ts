import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A network that breaks connections after so many bytes. */
export interface BreakingProxy extends AsyncDisposable {
  /** `<host>:<port>` to connect to instead of the server's. */
  readonly address: string;
  /** What came of each connection, in the order they came. */
  readonly connections: readonly ProxiedConnection[];
}

/** One connection. */
export interface ProxiedConnection {
  /** Bytes that were passed on from the server. */
  readonly bytesDown: number;
  readonly isBroken: boolean;
}

/** `chooseBreak` is asked once a connection; the byte after which it is reset, or nothing to leave it whole. */
export async function startBreakingProxy(
  targetPort: number,
  chooseBreak: () => number | undefined,
): Promise<BreakingProxy> {
  const connections: ProxiedConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((downstream) => {
    const upstream = connect({ host: "127.0.0.1", port: targetPort });
    const state = { bytesDown: 0, isBroken: false };
    const limit = chooseBreak() ?? Number.POSITIVE_INFINITY;
    connections.push(state);
    const pairs = [
      [downstream, upstream],
      [upstream, downstream],
    ] as const;
    for (const [socket, other] of pairs) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    downstream.pipe(upstream);
    upstream.on("data", (chunk: Buffer) => {
      const passed = chunk.subarray(0, limit - state.bytesDown);
      state.bytesDown += passed.length;
      const hasRoom = downstream.write(passed);
      if (state.bytesDown >= limit && !state.isBroken) {
        state.isBroken = true;
        upstream.resetAndDestroy();
        downstream.resetAndDestroy();
      } else if (!hasRoom) {
        upstream.pause();
        downstream.once("drain", () => upstream.resume());
      }
    });
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { credentials } from "@grpc/grpc-js";
import { afterAll, expect, test } from "vitest";
import { TunnelCredentials } from "../../../agent/proxy/tunnel-credentials.ts";
import { findOpenSockets } from "../open-sockets.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

test.each([
  ["before the proxy answered", undefined],
  ["while the server greets", "HTTP/1.1 200 OK\r\n\r\n"],
])("a channel that is closed %s leaves no connection, and connects no more", async (_, answer) => {
  const asked = Promise.withResolvers<void>();
  const server = createServer((peer: Socket) => {
    let reads = 0;
    peer.on("error", () => undefined);
    peer.on("data", () => {
      reads += 1;
      if (reads === 1 && answer !== undefined) peer.write(answer);
      else asked.resolve();
    });
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy = { host: "127.0.0.1", port, credentials: undefined };
  const tunnel = new TunnelCredentials(credentials.createSsl(Buffer.from("")), proxy, "fleet.example:7171");
  const connector = tunnel._createSecureConnector({ scheme: "dns", path: `127.0.0.1:${port}` }, {});
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  const closed = once(socket, "close");
  void connector.connect(socket).catch(() => undefined);
  await asked.promise;
  connector.destroy();
  await closed;
  await expect(connector.connect(socket)).rejects.toThrow("the channel is closed");
  const stopped = once(server, "close");
  server.close();
  await stopped;
});

/** The same conversation over WebSockets. Usage: FILE.pem */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { decodeAgentMessage, encodeServerMessage, peerCommand, peerWelcome } from "./peer-words.ts";
import { servePeer } from "./serve-peer.ts";

const pem = await readFile(process.argv[2] ?? "");
const sockets = new Set<WebSocket>();
let lastEpoch = 0n;

const https = createServer({ cert: pem, key: pem });
const server = new WebSocketServer({ server: https, perMessageDeflate: false });
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
  socket.on("error", () => undefined);
  socket.on("message", (data) => {
    const { message } = decodeAgentMessage(data as Buffer);
    if (message.case !== "hello") return;
    lastEpoch += 1n;
    socket.send(encodeServerMessage(peerWelcome(lastEpoch)));
  });
});
https.listen({ host: "127.0.0.1", port: 0 });
await once(https, "listening");

servePeer((https.address() as AddressInfo).port, {
  count: () => sockets.size,
  push: () => {
    for (const [index, socket] of [...sockets].entries()) socket.send(encodeServerMessage(peerCommand(index)));
  },
});

/** The same conversation over WebSockets. Usage: FILE.pem */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { WebSocketServer } from "ws";
import { AgentMessageSchema, ServerMessageSchema } from "../../../gen/rollcall/v1/agent_pb.js";
import { PeerAgents, type PeerStream } from "./peer-agents.ts";
import { servePeer } from "./serve-peer.ts";

const pem = await readFile(process.argv[2] ?? "");
const agents = new PeerAgents();

const https = createServer({ cert: pem, key: pem });
const server = new WebSocketServer({ server: https, perMessageDeflate: false });
server.on("connection", (socket) => {
  const stream: PeerStream = { write: (message) => socket.send(toBinary(ServerMessageSchema, message)) };
  agents.join(stream);
  socket.once("close", () => agents.leave(stream));
  socket.on("error", () => undefined);
  socket.on("message", (data) => agents.hear(fromBinary(AgentMessageSchema, data as Buffer), stream));
});
https.listen({ host: "127.0.0.1", port: 0 });
await once(https, "listening");

servePeer((https.address() as AddressInfo).port, agents);

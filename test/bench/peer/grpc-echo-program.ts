/** The floor of the transport: grpc-js as it comes, which answers a Hello and hears heartbeats. Usage: FILE.pem */
import { readFile } from "node:fs/promises";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { grpcService } from "../../../gen/grpc.ts";
import { AgentService, type AgentMessage, type ServerMessage } from "../../../gen/rollcall/v1/agent_pb.js";
import { peerCommand, peerWelcome } from "./peer-words.ts";
import { servePeer } from "./serve-peer.ts";

const pem = await readFile(process.argv[2] ?? "");
const calls = new Set<ServerDuplexStream<AgentMessage, ServerMessage>>();
let lastEpoch = 0n;

const { connect } = grpcService(AgentService);
if (connect === undefined) throw new Error("AgentService has no Connect");
const server = new Server();
server.addService(
  { connect },
  {
    connect: (call: ServerDuplexStream<AgentMessage, ServerMessage>) => {
      calls.add(call);
      call.once("cancelled", () => calls.delete(call));
      call.on("error", () => undefined);
      call.on("data", ({ message }: AgentMessage) => {
        if (message.case !== "hello") return;
        lastEpoch += 1n;
        call.write(peerWelcome(lastEpoch));
      });
    },
  },
);
const credentials = ServerCredentials.createSsl(null, [{ cert_chain: pem, private_key: pem }]);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
});

servePeer(port, {
  count: () => calls.size,
  push: () => {
    for (const [index, call] of [...calls].entries()) call.write(peerCommand(index));
  },
});

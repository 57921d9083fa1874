/** The floor of the transport: grpc-js as it comes. Usage: FILE.pem */
import { readFile } from "node:fs/promises";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { grpcService } from "../../../gen/grpc.ts";
import { AgentService, type AgentMessage, type ServerMessage } from "../../../gen/rollcall/v1/agent_pb.js";
import { PeerAgents } from "./peer-agents.ts";
import { servePeer } from "./serve-peer.ts";

const pem = await readFile(process.argv[2] ?? "");
const agents = new PeerAgents();

const { connect } = grpcService(AgentService);
if (connect === undefined) throw new Error("AgentService has no Connect");
const server = new Server();
server.addService(
  { connect },
  {
    connect: (call: ServerDuplexStream<AgentMessage, ServerMessage>) => {
      agents.join(call);
      call.once("cancelled", () => agents.leave(call));
      call.on("error", () => undefined);
      call.on("end", () => call.end());
      call.on("data", (message: AgentMessage) => agents.hear(message, call));
    },
  },
);
const credentials = ServerCredentials.createSsl(null, [{ cert_chain: pem, private_key: pem }]);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
});

servePeer(port, agents);

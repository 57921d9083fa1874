/** What agents send, read from the wire. A heartbeat, which is most of it, is one message for all of them. */
import { create, fromBinary } from "@bufbuild/protobuf";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { encodeMessage, grpcMethod, grpcService } from "../../gen/grpc.ts";
import { AgentMessageSchema, AgentService, type AgentMessage } from "../../gen/rollcall/v1/agent_pb.js";

/** The heartbeat of every agent that says nothing else in it. */
export const HEARTBEAT: AgentMessage = create(AgentMessageSchema, { message: { case: "heartbeat", value: {} } });

const HEARTBEAT_BYTES = encodeMessage(AgentMessageSchema, HEARTBEAT);

/** *Throws* Error when the bytes are no message. */
export function readAgentMessage(bytes: Buffer): AgentMessage {
  return HEARTBEAT_BYTES.equals(bytes) ? HEARTBEAT : fromBinary(AgentMessageSchema, bytes);
}

/** AgentService, with heartbeats read without making anything. */
export function agentServiceDefinition(): ServiceDefinition {
  const connect = { ...grpcMethod(AgentService.method.connect), requestDeserialize: readAgentMessage };
  return { ...grpcService(AgentService), connect };
}

/**
 * What the peers say, which is what the server says: the same messages of the same
 * size, made anew for each agent. A peer decodes what it hears and knows nobody: no
 * credential is looked at, nothing is written.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AgentMessageSchema,
  ServerMessageSchema,
  type AgentMessage,
  type ServerMessage,
} from "../../../gen/rollcall/v1/agent_pb.js";

/** What a peer is asked by the bench. */
export type PeerOrder = "count" | "push";

/** What it answers. */
export interface PeerAnswer {
  readonly connections: number;
}

/** The answer to a Hello. */
export function peerWelcome(sessionEpoch: bigint): ServerMessage {
  return create(ServerMessageSchema, {
    message: {
      case: "welcome",
      value: { serverVersion: "2.0.0", sessionEpoch, heartbeatIntervalMs: 15_000, targetVersion: "2.0.0" },
    },
  });
}

/** A command to one agent; `number` stands for the job. */
export function peerCommand(number: number): ServerMessage {
  return create(ServerMessageSchema, {
    message: {
      case: "commandUpdate",
      value: {
        jobId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
        package: "rollcall-agent",
        fromVersion: "1.0.0",
        toVersion: "2.0.0",
        manifestSha256: new Uint8Array(32),
      },
    },
  });
}

/** Reads what an agent sent. */
export function decodeAgentMessage(bytes: Uint8Array): AgentMessage {
  return fromBinary(AgentMessageSchema, bytes);
}

/** Writes what goes to an agent. */
export function encodeServerMessage(message: ServerMessage): Uint8Array {
  return toBinary(ServerMessageSchema, message);
}

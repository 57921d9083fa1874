/**
 * What every peer does with its agents: Hello is answered, heartbeats are heard, and a
 * command goes to all at once or to so many at a time. A peer knows nobody: no credential
 * is looked at and nothing is written.
 */
import { create } from "@bufbuild/protobuf";
import { ServerMessageSchema, type AgentMessage, type ServerMessage } from "../../../gen/rollcall/v1/agent_pb.js";
import type { PeerDuties } from "./serve-peer.ts";

/** One agent's stream. */
export interface PeerStream {
  write(message: ServerMessage): void;
}

/** What is sent, as large as what the server sends. */
const TO_VERSION = "2.0.0";

export class PeerAgents implements PeerDuties {
  readonly #streams = new Set<PeerStream>();
  #lastEpoch = 0n;
  #rolling: { readonly waiting: PeerStream[]; left: number; readonly end: () => void } | undefined;

  count(): number {
    return this.#streams.size;
  }

  join(stream: PeerStream): void {
    this.#streams.add(stream);
  }

  leave(stream: PeerStream): void {
    this.#streams.delete(stream);
  }

  hear({ message }: AgentMessage, stream: PeerStream): void {
    if (message.case !== "hello") return;
    this.#lastEpoch += 1n;
    stream.write(peerWelcome(this.#lastEpoch));
    this.#countReturn();
  }

  /** A command to everybody, each encoded for itself. */
  push(): void {
    for (const [index, stream] of [...this.#streams].entries()) stream.write(peerCommand(index));
  }

  /** A command to so many at a time; who comes back with a Hello makes room for the next. Resolves when all are back. */
  roll(inFlight: number): Promise<void> {
    const waiting = [...this.#streams];
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#rolling = { waiting, left: waiting.length, end: resolve };
    for (let count = 0; count < inFlight; count += 1) this.#commandNext();
    return promise;
  }

  #countReturn(): void {
    if (this.#rolling === undefined) return;
    this.#rolling.left -= 1;
    this.#commandNext();
    if (this.#rolling.left > 0) return;
    this.#rolling.end();
    this.#rolling = undefined;
  }

  #commandNext(): void {
    const next = this.#rolling?.waiting.pop();
    next?.write(peerCommand(this.#rolling?.left ?? 0));
  }
}

/** The answer to a Hello. */
export function peerWelcome(sessionEpoch: bigint): ServerMessage {
  return create(ServerMessageSchema, {
    message: {
      case: "welcome",
      value: { serverVersion: TO_VERSION, sessionEpoch, heartbeatIntervalMs: 15_000, targetVersion: TO_VERSION },
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
        toVersion: TO_VERSION,
        manifestSha256: new Uint8Array(32),
      },
    },
  });
}

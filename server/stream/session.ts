import type { ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { AgentStream } from "./agent-stream.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { AgentSession, HostIdentity, StreamLog } from "./ports.ts";

/** The stream of one host that said Hello. It sends nothing before it is opened with its epoch. */
export class StreamSession implements AgentSession {
  readonly hostId: HostId;
  readonly instanceId: string;
  readonly credentialGeneration: number;
  readonly peer: string;
  readonly #stream: AgentStream;
  readonly #log: StreamLog;
  #epoch: SessionEpoch | undefined;

  constructor(identity: HostIdentity, instanceId: string, stream: AgentStream, log: StreamLog) {
    this.hostId = identity.hostId;
    this.credentialGeneration = identity.generation;
    this.instanceId = instanceId;
    this.peer = stream.connection.peer;
    this.#stream = stream;
    this.#log = log;
  }

  /** *Shape*: `undefined` until the session is opened. */
  get epoch(): SessionEpoch | undefined {
    return this.#epoch;
  }

  /** Aborted once the session ended, for whatever reason. */
  get ended(): AbortSignal {
    return this.#stream.ended;
  }

  /** From here on `send` sends. */
  open(epoch: SessionEpoch): void {
    this.#epoch = epoch;
  }

  send(message: ServerMessage | Buffer): boolean {
    return this.#epoch !== undefined && this.#stream.send(message);
  }

  end(error: Error): void {
    if (!this.ended.aborted) this.#stream.fail(toGrpcStatus(error, "Connect", this.#log));
  }
}

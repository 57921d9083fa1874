/**
 * An agent that does what a test says: a real grpc-js client over real TLS, on a
 * connection of its own. It answers nothing by itself, except through `onMessage`.
 */
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  status as Status,
  type ChannelOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { once } from "node:events";
import { grpcMethod } from "../../gen/grpc.ts";
import {
  AgentMessageSchema,
  AgentService,
  EnrollRequestSchema,
  FetchBlocksRequestSchema,
  FetchManifestRequestSchema,
  HelloSchema,
  type AgentMessage,
  type EnrollResponse,
  type FetchBlocksResponse,
  type FetchManifestResponse,
  type Hello,
  type ServerMessage,
  type UpdateProgressSchema,
  type Welcome,
} from "../../gen/rollcall/v1/agent_pb.js";
import { InvalidFieldSchema, RefusalSchema, type InvalidField, type Refusal } from "../../gen/rollcall/v1/model_pb.js";

const METHODS = {
  enroll: grpcMethod(AgentService.method.enroll),
  connect: grpcMethod(AgentService.method.connect),
  fetchManifest: grpcMethod(AgentService.method.fetchManifest),
  fetchBlocks: grpcMethod(AgentService.method.fetchBlocks),
};

/** How a call ended. */
export interface CallEnd {
  readonly code: Status;
  readonly details: string;
  readonly refusal: Refusal | undefined;
  readonly invalidField: InvalidField | undefined;
  readonly metadata: Metadata;
}

/** What a scripted agent needs to reach a server. */
export interface ScriptedAgentOptions {
  /** `<host>:<port>` */
  readonly address: string;
  readonly caPem: string;
  /** Sent as bearer. Absent: no authorization header at all. */
  readonly credential?: string;
  readonly channelOptions?: ChannelOptions;
}

/** A Hello that every rule accepts. */
export function validHello(changes: MessageInitShape<typeof HelloSchema> = {}): Hello {
  return create(HelloSchema, {
    agentVersion: "1.0.0",
    protocolVersion: 1,
    os: "linux",
    arch: "x64",
    hostname: "host-1",
    instanceId: "00000000-0000-4000-8000-000000000001",
    packages: [{ package: "rollcall-agent", version: "1.0.0" }],
    ...changes,
  });
}

/** One agent's connection. Dispose it, or its sockets outlive the test. */
export class ScriptedAgent implements Disposable {
  readonly #client: Client;
  credential: string | undefined;

  constructor(options: ScriptedAgentOptions) {
    this.credential = options.credential;
    this.#client = new Client(options.address, credentials.createSsl(Buffer.from(options.caPem)), {
      // Else agents of one process share a connection.
      "grpc.use_local_subchannel_pool": 1,
      "grpc-node.flow_control_window": 4 * 1_048_576,
      "grpc.max_receive_message_length": 4 * 1_048_576,
      ...options.channelOptions,
    });
  }

  /** *Throws* ServiceError with the server's status. */
  enroll(request: MessageInitShape<typeof EnrollRequestSchema>): Promise<EnrollResponse> {
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = METHODS.enroll;
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        create(EnrollRequestSchema, request),
        (error, response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(error ?? new Error("no response"));
        },
      );
    });
  }

  /** *Throws* ServiceError with the server's status. */
  fetchManifest(jobId: string): Promise<FetchManifestResponse> {
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = METHODS.fetchManifest;
      const request = create(FetchManifestRequestSchema, { jobId });
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata(),
        (error, response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(error ?? new Error("no response"));
        },
      );
    });
  }

  /** The raw call: iterate it, pause it or cancel it. Its errors are ServiceErrors. */
  fetchBlocks(
    jobId: string,
    ranges: readonly { readonly first: number; readonly count: number }[],
  ): ClientReadableStream<FetchBlocksResponse> {
    const { path, requestSerialize, responseDeserialize } = METHODS.fetchBlocks;
    const request = create(FetchBlocksRequestSchema, { jobId, ranges: [...ranges] });
    return this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, this.#metadata());
  }

  /** Opens a stream without saying anything. */
  connect(onMessage?: (message: ServerMessage, stream: ScriptedStream) => void): ScriptedStream {
    const { path, requestSerialize, responseDeserialize } = METHODS.connect;
    return new ScriptedStream(
      this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.#metadata()),
      onMessage,
    );
  }

  /** Opens a stream, says Hello and waits for Welcome. *Throws* Error when the stream ends instead. */
  async hello(
    hello: Hello = validHello(),
    onMessage?: (message: ServerMessage, stream: ScriptedStream) => void,
  ): Promise<{ readonly stream: ScriptedStream; readonly welcome: Welcome }> {
    const stream = this.connect(onMessage);
    stream.sendHello(hello);
    const first = await stream.next();
    if (first.message.case !== "welcome") throw new Error(`expected welcome, not ${first.message.case}`);
    return { stream, welcome: first.message.value };
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.credential !== undefined) metadata.set("authorization", `Bearer ${this.credential}`);
    return metadata;
  }
}

/** The agent's side of one Connect call. */
export class ScriptedStream {
  /** Every message so far, oldest first. */
  readonly received: ServerMessage[] = [];
  /** Resolves however the call ends. */
  readonly ended: Promise<CallEnd>;
  /** Resolves when the server's headers came. */
  readonly headers: Promise<unknown>;
  /** The call itself, for what has no method here. */
  readonly call: ClientDuplexStream<AgentMessage | Buffer, ServerMessage>;
  #taken = 0;
  #wake: () => void = () => {};

  constructor(
    call: ClientDuplexStream<AgentMessage | Buffer, ServerMessage>,
    onMessage?: (message: ServerMessage, stream: ScriptedStream) => void,
  ) {
    this.call = call;
    this.headers = once(call, "metadata");
    this.headers.catch(() => {});
    this.ended = endOf(call);
    call.on("data", (message: ServerMessage) => {
      this.received.push(message);
      this.#wake();
      onMessage?.(message, this);
    });
  }

  /** The next message that was not taken yet. *Throws* Error when the stream ends first. */
  async next(): Promise<ServerMessage> {
    let end: CallEnd | undefined;
    void this.ended.then((ended) => {
      end = ended;
      this.#wake();
    });
    for (;;) {
      const message = this.received[this.#taken];
      if (message !== undefined) {
        this.#taken += 1;
        return message;
      }
      if (end !== undefined) throw new Error(`the stream ended with ${Status[end.code]}: ${end.details}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  sendHello(hello: Hello = validHello()): void {
    this.send({ message: { case: "hello", value: hello } });
  }

  sendHeartbeat(): void {
    this.send({ message: { case: "heartbeat", value: {} } });
  }

  sendProgress(progress: MessageInitShape<typeof UpdateProgressSchema>): void {
    this.send({ message: { case: "updateProgress", value: progress } });
  }

  /** Sends what it is given, valid or not; a Buffer goes out as it is. */
  send(message: MessageInitShape<typeof AgentMessageSchema> | Buffer): void {
    this.call.write(Buffer.isBuffer(message) ? message : create(AgentMessageSchema, message));
  }

  /** Says that nothing more comes. */
  halfClose(): void {
    this.call.end();
  }

  /** Resets the stream. */
  cancel(): void {
    this.call.cancel();
  }

  /** Stops reading, so that what the server sends piles up. */
  pause(): void {
    this.call.pause();
  }
}

/** How a call ended, with the details that its trailers carry. */
export function endOf(call: ClientReadableStream<unknown> | ClientDuplexStream<never, unknown>): Promise<CallEnd> {
  call.on("error", () => {});
  return new Promise((resolve) => call.on("status", (status: StatusObject) => resolve(toCallEnd(status))));
}

/** The same for the error of a unary call. */
export function toCallEnd(status: StatusObject | ServiceError): CallEnd {
  const refusal = status.metadata.get("rollcall-refusal-bin")[0];
  const invalidField = status.metadata.get("rollcall-invalid-field-bin")[0];
  return {
    code: status.code,
    details: status.details,
    refusal: refusal instanceof Buffer ? fromBinary(RefusalSchema, refusal) : undefined,
    invalidField: invalidField instanceof Buffer ? fromBinary(InvalidFieldSchema, invalidField) : undefined,
    metadata: status.metadata,
  };
}

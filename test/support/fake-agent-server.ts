/**
 * A server that says what a test tells it to: real TLS, real gRPC, no rules of
 * its own. Each Connect stream is a FakeConnection that the test reads and writes.
 */
import { randomBytes } from "node:crypto";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { grpcService } from "../../gen/grpc.ts";
import {
  AgentService,
  EnrollResponseSchema,
  FetchBlocksResponseSchema,
  FetchManifestResponseSchema,
  ServerMessageSchema,
  type AgentMessage,
  type EnrollRequest,
  type FetchBlocksRequest,
  type FetchManifestRequest,
  type Hello,
  type ServerMessage,
} from "../../gen/rollcall/v1/agent_pb.js";
import { RefusalSchema } from "../../gen/rollcall/v1/model_pb.js";
import { createAuthority, createKeyPem, issueLeaf } from "../../server/stream/certificate-authority.ts";
import { Mailbox } from "./mailbox.ts";

/** How a call is turned away. */
export interface Rejection {
  readonly code: status;
  readonly details: string;
  readonly refusal?: MessageInitShape<typeof RefusalSchema>;
}

/** What the unary and streaming calls answer. Each may be replaced while the server runs. */
export interface Script {
  enroll: (request: EnrollRequest) => MessageInitShape<typeof EnrollResponseSchema> | Rejection;
  fetchManifest: (request: FetchManifestRequest) => MessageInitShape<typeof FetchManifestResponseSchema> | Rejection;
  /** Yields blocks; what it throws as a Rejection ends the stream with it. */
  fetchBlocks: (request: FetchBlocksRequest) => AsyncIterable<MessageInitShape<typeof FetchBlocksResponseSchema>>;
  /** When set, Connect is turned away before anything is read. */
  rejectConnect: Rejection | undefined;
}

/** Bytes that prove who the server is, and the certificate to trust. */
export interface TestAuthority {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** One Connect stream. */
export class FakeConnection {
  readonly authorization: string;
  readonly inbox = new Mailbox<AgentMessage>();
  /** Resolves once the stream is gone, whoever ended it. */
  readonly closed: Promise<void>;
  isClosed = false;
  readonly #call: ServerDuplexStream<AgentMessage, ServerMessage | Buffer>;

  constructor(call: ServerDuplexStream<AgentMessage, ServerMessage>) {
    this.#call = call;
    this.authorization = String(call.metadata.get("authorization")[0] ?? "");
    call.on("data", (message: AgentMessage) => this.inbox.put(message));
    call.on("error", () => undefined);
    call.on("end", () => call.end());
    this.closed = new Promise((resolve) => call.on("close", resolve));
    call.on("close", () => (this.isClosed = true));
  }

  /** The next message, which must be Hello. */
  async hello(): Promise<Hello> {
    const { message } = await this.inbox.take();
    if (message.case !== "hello") throw new Error(`expected hello, got ${message.case}`);
    return message.value;
  }

  /** The next UpdateProgress that fits; everything before it is passed over. */
  async progress(fits: (progress: AgentMessage["message"] & { case: "updateProgress" }) => boolean = () => true) {
    for (;;) {
      const { message } = await this.inbox.take();
      if (message.case === "updateProgress" && fits(message)) return message.value;
    }
  }

  send(message: MessageInitShape<typeof ServerMessageSchema>["message"]): void {
    this.#call.write(create(ServerMessageSchema, { message } as MessageInitShape<typeof ServerMessageSchema>));
  }

  /** Sends a message in its wire form, such as one that only a newer server knows. */
  sendBytes(message: Uint8Array): void {
    this.#call.write(Buffer.from(message));
  }

  welcome(sessionEpoch: bigint, heartbeatIntervalMs = 15_000): void {
    this.send({ case: "welcome", value: { serverVersion: "test", sessionEpoch, heartbeatIntervalMs } });
  }

  end(): void {
    this.#call.end();
  }

  fail(rejection: Rejection): void {
    this.#call.emit("error", toStatus(rejection));
  }
}

/** A running fake server. */
export interface FakeAgentServer extends AsyncDisposable {
  /** `localhost:port` */
  readonly address: string;
  readonly caPem: string;
  readonly script: Script;
  /** Connect streams in the order they came. */
  readonly connections: Mailbox<FakeConnection>;
  /** Cuts every connection at once, as a crash would, and stops listening. */
  crash(): void;
}

/** Starts a fake server on a free port of the loopback interface, or on `port`. */
export async function startFakeAgentServer(authority: TestAuthority, port = 0): Promise<FakeAgentServer> {
  const script: Script = {
    enroll: () => ({ code: status.UNIMPLEMENTED, details: "no script" }),
    fetchManifest: () => ({ code: status.UNIMPLEMENTED, details: "no script" }),
    fetchBlocks: async function* () {},
    rejectConnect: undefined,
  };
  const connections = new Mailbox<FakeConnection>();
  const server = new Server();
  server.addService(grpcService(AgentService), handlers(script, connections));
  const credentials = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(authority.certPem), private_key: Buffer.from(authority.keyPem) },
  ]);
  const boundPort = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `localhost:${boundPort}`,
    caPem: authority.caPem,
    script,
    connections,
    crash: () => server.forceShutdown(),
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}

function handlers(script: Script, connections: Mailbox<FakeConnection>): UntypedServiceImplementation {
  return {
    enroll: (call: ServerUnaryCall<EnrollRequest, unknown>, reply: (error: object | null, value?: unknown) => void) => {
      const answer = script.enroll(call.request);
      if (isRejection(answer)) reply(toStatus(answer));
      else reply(null, create(EnrollResponseSchema, answer));
    },
    fetchManifest: (
      call: ServerUnaryCall<FetchManifestRequest, unknown>,
      reply: (error: object | null, value?: unknown) => void,
    ) => {
      const answer = script.fetchManifest(call.request);
      if (isRejection(answer)) reply(toStatus(answer));
      else reply(null, create(FetchManifestResponseSchema, answer));
    },
    fetchBlocks: (call: ServerWritableStream<FetchBlocksRequest, unknown>) => {
      void serveBlocks(call, script.fetchBlocks(call.request));
    },
    connect: (call: ServerDuplexStream<AgentMessage, ServerMessage>) => {
      if (script.rejectConnect !== undefined) call.emit("error", toStatus(script.rejectConnect));
      else connections.put(new FakeConnection(call));
    },
  };
}

async function serveBlocks(
  call: ServerWritableStream<FetchBlocksRequest, unknown>,
  blocks: AsyncIterable<MessageInitShape<typeof FetchBlocksResponseSchema>>,
): Promise<void> {
  const closed = new Promise<void>((resolve) => call.once("close", resolve));
  try {
    for await (const block of blocks) {
      if (call.cancelled) return;
      if (!call.write(create(FetchBlocksResponseSchema, block))) await Promise.race([drained(call), closed]);
    }
    call.end();
  } catch (error) {
    if (!isRejection(error)) throw error;
    call.emit("error", toStatus(error));
  }
}

/** Unlike `events.once` it does not fail on an "error", which is how a script ends a call. */
function drained(call: ServerWritableStream<FetchBlocksRequest, unknown>): Promise<void> {
  return new Promise((resolve) => call.once("drain", resolve));
}

function isRejection(value: unknown): value is Rejection {
  return typeof value === "object" && value !== null && "code" in value && "details" in value;
}

function toStatus(rejection: Rejection): object {
  const metadata = new Metadata();
  if (rejection.refusal !== undefined) {
    const refusal = create(RefusalSchema, rejection.refusal);
    metadata.set("rollcall-refusal-bin", Buffer.from(toBinary(RefusalSchema, refusal)));
  }
  return { code: rejection.code, details: rejection.details, metadata };
}

/** Makes an authority of its own and a certificate for `localhost` and 127.0.0.1. */
export function createTestAuthority(): TestAuthority {
  const random = { bytes: (length: number) => randomBytes(length) };
  const now = new Date();
  const authority = createAuthority(createKeyPem(), now, random);
  const leaf = issueLeaf(authority, ["localhost", "127.0.0.1"], now, random);
  return { caPem: authority.certPem, certPem: leaf.certPem, keyPem: leaf.keyPem };
}

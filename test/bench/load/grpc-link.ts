/** A gRPC connection over TLS, for an agent that sends little and reads everything at once. */
import { fromBinary } from "@bufbuild/protobuf";
import { status as Status } from "@grpc/grpc-js";
import { connect, createSecureContext, type ConnectionOptions, type SecureContext, type TLSSocket } from "node:tls";
import { isTurnedAway } from "../../../agent/stream/failure.ts";
import { AgentService } from "../../../gen/rollcall/v1/agent_pb.js";
import { RefusalSchema, type Refusal } from "../../../gen/rollcall/v1/model_pb.js";
import { brokenLink, type AgentLink, type LinkEnd, type LinkEvents, type LinkTarget } from "./agent-link.ts";
import { decodeHeaders, encodeHeaders } from "./hpack.ts";
import { clientPreface, encodeFrame, FLAG, FRAME, FrameReader, type Frame } from "./http2-frames.ts";

const PREFACE = clientPreface();
const MESSAGE_PREFIX_BYTES = 5;
const CONNECT_PATH = `/${AgentService.typeName}/${AgentService.method.connect.name}`;

const contexts = new Map<string, SecureContext>();

/** Connects, and opens the agent's stream at once. */
export function openGrpcLink(target: LinkTarget, events: LinkEvents): AgentLink {
  const connection = new GrpcConnection(target);
  let isLeaving = false;
  const stream = connection.open(CONNECT_PATH, {
    message: (bytes) => events.message(bytes),
    ended: (end) => {
      if (isLeaving) connection.destroy();
      events.ended(end);
    },
  });
  return {
    send: (bytes) => stream.send(bytes, FLAG.none),
    leave: () => {
      isLeaving = true;
      stream.halfClose();
    },
    request: (path, bytes) => connection.request(path, bytes),
    destroy: () => connection.destroy(),
  };
}

class GrpcConnection {
  readonly #target: LinkTarget;
  readonly #socket: TLSSocket;
  readonly #reader = new FrameReader();
  readonly #calls = new Map<number, GrpcCall>();
  #nextStreamId = 1;

  constructor(target: LinkTarget) {
    this.#target = target;
    const { host, port, localAddress } = target;
    // The types of `tls` leave out that it takes what `net` takes.
    const options: ConnectionOptions & { readonly localAddress: string } = {
      host,
      port,
      localAddress,
      secureContext: contextOf(target.caPem),
      ALPNProtocols: ["h2"],
    };
    this.#socket = connect(options);
    this.#socket.setNoDelay(true);
    let cause = "closed";
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      cause = error.code ?? error.message;
    });
    this.#socket.on("data", (chunk: Buffer) => this.#hear(chunk));
    this.#socket.once("close", () => {
      for (const call of this.#calls.values()) call.end(brokenLink(cause));
      this.#calls.clear();
    });
    this.#socket.write(PREFACE);
  }

  open(path: string, events: LinkEvents): GrpcCall {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    const call = new GrpcCall(this.#socket, streamId, events);
    this.#calls.set(streamId, call);
    this.#socket.write(encodeFrame(FRAME.headers, FLAG.endHeaders, streamId, requestHeaders(path, this.#target)));
    return call;
  }

  request(path: string, bytes: Uint8Array): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      const messages: Buffer[] = [];
      const call = this.open(path, {
        message: (message) => messages.push(message),
        ended: ({ cause }) => {
          if (cause === "OK") resolve(messages);
          else reject(new Error(`${path} ended with ${cause}`));
        },
      });
      call.send(bytes, FLAG.endStream);
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #hear(chunk: Buffer): void {
    for (const frame of this.#reader.push(chunk)) this.#handle(frame);
  }

  #handle({ type, flags, streamId, payload }: Frame): void {
    switch (type) {
      case FRAME.settings:
        if ((flags & FLAG.ack) === 0) this.#socket.write(encodeFrame(FRAME.settings, FLAG.ack, 0));
        return;
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) this.#socket.write(encodeFrame(FRAME.ping, FLAG.ack, 0, payload));
        return;
      case FRAME.data:
        this.#calls.get(streamId)?.hear(payload);
        return;
      case FRAME.headers:
        if ((flags & FLAG.endStream) !== 0) this.#endCall(streamId, readTrailers(payload));
        return;
      case FRAME.rstStream:
        this.#endCall(streamId, brokenLink("RST_STREAM"));
        return;
    }
  }

  #endCall(streamId: number, end: LinkEnd): void {
    const call = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    call?.end(end);
  }
}

class GrpcCall {
  readonly #socket: TLSSocket;
  readonly #streamId: number;
  readonly #events: LinkEvents;
  #pending: Buffer | undefined;

  constructor(socket: TLSSocket, streamId: number, events: LinkEvents) {
    this.#socket = socket;
    this.#streamId = streamId;
    this.#events = events;
  }

  send(message: Uint8Array, flags: number): void {
    const prefixed = Buffer.alloc(MESSAGE_PREFIX_BYTES + message.length);
    prefixed.writeUInt32BE(message.length, 1);
    prefixed.set(message, MESSAGE_PREFIX_BYTES);
    if (this.#socket.writable) this.#socket.write(encodeFrame(FRAME.data, flags, this.#streamId, prefixed));
  }

  halfClose(): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(FRAME.data, FLAG.endStream, this.#streamId));
  }

  hear(payload: Buffer): void {
    let bytes = this.#pending === undefined ? payload : Buffer.concat([this.#pending, payload]);
    while (bytes.length >= MESSAGE_PREFIX_BYTES) {
      const end = MESSAGE_PREFIX_BYTES + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      this.#events.message(bytes.subarray(MESSAGE_PREFIX_BYTES, end));
      bytes = bytes.subarray(end);
    }
    this.#pending = bytes.length === 0 ? undefined : bytes;
  }

  end(end: LinkEnd): void {
    this.#events.ended(end);
  }
}

/** What grpc-js sends, so that the server has as much to read. */
function requestHeaders(path: string, { host, port, credential }: LinkTarget): Buffer {
  return encodeHeaders([
    [":method", "POST"],
    [":scheme", "https"],
    [":authority", `${host}:${port}`],
    [":path", path],
    ["authorization", `Bearer ${credential}`],
    ["grpc-accept-encoding", "identity,deflate,gzip"],
    ["accept-encoding", "identity"],
    ["user-agent", "grpc-node-js/1.14.7"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ]);
}

function readTrailers(block: Buffer): LinkEnd {
  const fields = decodeHeaders(block);
  const code = Number(fields.get("grpc-status") ?? Status.UNKNOWN);
  const encoded = fields.get("rollcall-refusal-bin");
  const refusal: Refusal | undefined =
    encoded === undefined ? undefined : fromBinary(RefusalSchema, Buffer.from(encoded, "base64"));
  const codeName = Status[code] ?? String(code);
  return {
    cause: codeName,
    isTurnedAway: isTurnedAway({ code, codeName, details: "", refusal }),
    askedMs: Number(refusal?.retryAfterMs ?? 0),
  };
}

/** One for all agents: each would parse the certificate anew. */
function contextOf(caPem: string): SecureContext {
  const context = contexts.get(caPem) ?? createSecureContext({ ca: caPem });
  contexts.set(caPem, context);
  return context;
}

/**
 * One stream to one server, from Hello to its end.
 *
 *     connecting → (Hello sent) → greeted by Welcome → open → ended
 *
 * Nothing is sent before Hello and nothing but Welcome is listened to before it
 * came. Everything that belongs to the session (its fetches, its heartbeats)
 * ends with it, through `signal`.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import { grpcMethod } from "../../gen/grpc.ts";
import {
  AgentMessageSchema,
  AgentService,
  type AgentMessage,
  type Hello,
  type ServerMessage,
  type UpdateProgress,
  type Welcome,
} from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock } from "../clock.ts";
import { describeFailure, type CallFailure } from "./failure.ts";

/** What to open a session with. */
export interface SessionOptions {
  readonly client: Client;
  /** Carries the credential. */
  readonly metadata: Metadata;
  readonly hello: Hello;
  readonly clock: Clock;
  /** From the first byte to Welcome. *Units*: milliseconds. */
  readonly attemptLimitMs: number;
}

/** Hears what the server says. Called in the stream's order; what it throws ends the session. */
export interface SessionListener {
  welcomed(session: Session, welcome: Welcome): void;
  /** Every later message, also of kinds that this agent does not know. */
  received(session: Session, message: ServerMessage): void;
}

/** An open session. */
export interface Session {
  /** Number of this session, as Welcome told it. */
  readonly epoch: bigint;
  readonly client: Client;
  readonly metadata: Metadata;
  /** Aborted when the session ended. */
  readonly signal: AbortSignal;
  /** Queues one report. Nothing happens once the session ended: Hello tells what was missed. */
  report(progress: UpdateProgress): void;
  /** Says goodbye; `runSession` resolves once the server has answered. */
  close(): void;
}

/** How a session ended. */
export interface SessionEnd {
  readonly wasWelcomed: boolean;
  readonly failure: CallFailure;
}

const CONNECT = grpcMethod(AgentService.method.connect);
const DEFAULT_HEARTBEAT_MS = 15_000;
const HEARTBEAT_BOUNDS_MS = { least: 50, greatest: 60_000 } as const;
/** Messages that may wait for a server that reads no more. */
const MAX_QUEUED_MESSAGES = 64;

type Stream = ClientDuplexStream<AgentMessage, ServerMessage>;

/** Runs one session to its end. Aborting `signal` cuts it off. Never throws. */
export async function runSession(
  options: SessionOptions,
  listener: SessionListener,
  signal: AbortSignal,
): Promise<SessionEnd> {
  const ending = new AbortController();
  const stream: Stream = options.client.makeBidiStreamRequest(
    CONNECT.path,
    CONNECT.requestSerialize,
    CONNECT.responseDeserialize,
    options.metadata,
  );
  const cut = (): void => stream.cancel();
  signal.addEventListener("abort", cut, { once: true });
  if (signal.aborted) cut();
  let session: Session | undefined;
  let localFailure: CallFailure | undefined;
  const giveUp = (error: unknown): void => {
    localFailure ??= describeFailure(error);
    stream.cancel();
  };
  void limitWait(options, ending.signal, () => {
    if (session === undefined) giveUp(new Error(`no Welcome within ${options.attemptLimitMs} ms`));
  });
  stream.on("data", (message: ServerMessage) => {
    if (localFailure !== undefined) return;
    try {
      if (session !== undefined) {
        listener.received(session, message);
      } else if (message.message.case === "welcome") {
        const welcome = message.message.value;
        session = createSession(options, stream, welcome.sessionEpoch, ending.signal, giveUp);
        void sendHeartbeats(stream, heartbeatMs(welcome), options.clock, ending.signal, giveUp);
        listener.welcomed(session, welcome);
      }
    } catch (error) {
      giveUp(error);
    }
  });
  send(stream, { case: "hello", value: options.hello });
  const failure = await streamEnd(stream);
  signal.removeEventListener("abort", cut);
  ending.abort(new Error(`the session ended (${failure.details})`));
  return { wasWelcomed: session !== undefined, failure: localFailure ?? failure };
}

function createSession(
  options: SessionOptions,
  stream: Stream,
  epoch: bigint,
  signal: AbortSignal,
  giveUp: (error: unknown) => void,
): Session {
  return {
    epoch,
    client: options.client,
    metadata: options.metadata,
    signal,
    report: (progress) => {
      if (signal.aborted) return;
      if (stream.writableLength >= MAX_QUEUED_MESSAGES) giveUp(new Error("the server does not read"));
      else send(stream, { case: "updateProgress", value: progress });
    },
    close: () => stream.end(),
  };
}

/** Resolves with the stream's status; grpc-js emits it in every ending. */
function streamEnd(stream: Stream): Promise<CallFailure> {
  return new Promise((resolve) => {
    // An 'error' repeats the status; unheard it would end the process.
    stream.on("error", () => {});
    stream.on("status", (ended) => resolve(describeFailure(ended)));
  });
}

async function limitWait(options: SessionOptions, signal: AbortSignal, expire: () => void): Promise<void> {
  try {
    await options.clock.sleep(options.attemptLimitMs, signal);
  } catch {
    return;
  }
  expire();
}

async function sendHeartbeats(
  stream: Stream,
  intervalMs: number,
  clock: Clock,
  signal: AbortSignal,
  giveUp: (error: unknown) => void,
): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(intervalMs, signal);
      if (stream.writableLength >= MAX_QUEUED_MESSAGES) giveUp(new Error("the server does not read"));
      else send(stream, { case: "heartbeat", value: {} });
    }
  } catch (error) {
    if (!signal.aborted) giveUp(error);
  }
}

/** How often to send a heartbeat on this session. *Units*: milliseconds. */
export function heartbeatMs(welcome: Welcome): number {
  const askedMs = welcome.heartbeatIntervalMs === 0 ? DEFAULT_HEARTBEAT_MS : welcome.heartbeatIntervalMs;
  return Math.min(Math.max(askedMs, HEARTBEAT_BOUNDS_MS.least), HEARTBEAT_BOUNDS_MS.greatest);
}

function send(stream: Stream, message: MessageInitShape<typeof AgentMessageSchema>["message"]): void {
  // After a goodbye there is nothing more to say.
  if (stream.writable) stream.write(create(AgentMessageSchema, { message: message as AgentMessage["message"] }));
}

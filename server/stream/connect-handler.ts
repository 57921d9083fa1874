/**
 * One agent's stream from headers to end:
 *
 *     headers ──Hello──▶ opening ──opened()──▶ live ──end──▶ closed()
 *
 * - The stream's messages are handled one after the other; none is read while
 *   one is being handled.
 * - `closed` is called once for each `opened` that resolved, also when the
 *   stream ended or was replaced in the meantime, and never otherwise.
 * - Silence counts only while the server waits for a message, so a slow
 *   database ends no stream.
 */
import type { handleBidiStreamingCall } from "@grpc/grpc-js";
import {
  AgentMessageSchema,
  type AgentMessage,
  type Hello,
  type ServerMessage,
} from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock } from "../domain/clock.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import { OLDEST_PROTOCOL_VERSION } from "../domain/host.ts";
import type { SessionEpoch } from "../domain/ids.ts";
import { AgentStream, type ConnectCall } from "./agent-stream.ts";
import type { Callers, HostCaller } from "./callers.ts";
import { checkMessage } from "./check-message.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { HelloAdmission } from "./hello-admission.ts";
import type { ListenerLimits } from "./limits.ts";
import { MessageRate } from "./message-rate.ts";
import type { OpenTasks } from "./open-tasks.ts";
import type { OpenedSession, SessionHandler, StreamLog } from "./ports.ts";
import type { SessionRegistry } from "./session-registry.ts";
import { StreamSession } from "./session.ts";
import { StreamEndedError } from "./stream-ended-error.ts";

export interface ConnectOptions {
  readonly handler: SessionHandler;
  readonly registry: SessionRegistry;
  readonly admission: HelloAdmission;
  /** Every stream from its headers on, for who ends them all. */
  readonly streams: Set<AgentStream>;
  readonly callers: Callers;
  readonly tasks: OpenTasks;
  readonly clock: Clock;
  readonly log: StreamLog;
  readonly limits: ListenerLimits;
}

/** Serves `AgentService.Connect`. */
export function connectHandler(options: ConnectOptions): handleBidiStreamingCall<AgentMessage, ServerMessage | Buffer> {
  return (call) => options.tasks.add(serve(call, options.callers.hostOf(call), options));
}

async function serve(call: ConnectCall, caller: HostCaller, options: ConnectOptions): Promise<void> {
  const stream = new AgentStream(call, caller.connection, options.clock, options.limits);
  options.streams.add(stream);
  stream.ended.addEventListener("abort", () => options.streams.delete(stream), { once: true });
  try {
    const hello = await awaitHello(stream, options.limits.helloTimeoutMs);
    if (hello !== undefined) await runSession(hello, stream, caller, options);
    stream.finish();
  } catch (error) {
    stream.fail(toGrpcStatus(error, "Connect", options.log));
  } finally {
    options.streams.delete(stream);
  }
}

async function awaitHello(stream: AgentStream, timeoutMs: number): Promise<Hello | undefined> {
  const heard = await stream.next(timeoutMs);
  if (heard.kind === "ended") return undefined;
  if (heard.kind === "silent") throw new RefusedError("hello_missing", `no Hello within ${timeoutMs} ms`);
  if (heard.kind === "halfClosed" || heard.message.message.case !== "hello") {
    throw new RefusedError("hello_missing", "the first message of a stream must be Hello");
  }
  const hello = heard.message.message.value;
  // First of all: an agent that old may break rules it can't know of.
  if (hello.protocolVersion < OLDEST_PROTOCOL_VERSION) throw protocolTooOld(hello.protocolVersion);
  checkMessage(AgentMessageSchema, heard.message);
  return hello;
}

function protocolTooOld(version: number): RefusedError {
  return new RefusedError(
    "protocol_too_old",
    `this agent speaks protocol ${version} and the server needs ${OLDEST_PROTOCOL_VERSION} or newer; install the agent again with the server's install command`,
    { protocol_version: String(version), oldest_protocol_version: String(OLDEST_PROTOCOL_VERSION) },
  );
}

async function runSession(
  hello: Hello,
  stream: AgentStream,
  caller: HostCaller,
  options: ConnectOptions,
): Promise<void> {
  const session = new StreamSession(caller.identity, hello.instanceId, stream, options.log);
  const opened = await open(hello, session, options);
  try {
    session.open(opened.epoch);
    if (!options.registry.place(session)) return;
    for (const message of opened.messages) session.send(message);
    await opened.afterMessages?.();
    await converse(stream, session, opened.epoch, options);
    stream.finish();
  } catch (error) {
    stream.fail(toGrpcStatus(error, "Connect", options.log));
  } finally {
    await close(session, opened.epoch, options);
  }
}

async function open(hello: Hello, session: StreamSession, options: ConnectOptions): Promise<OpenedSession> {
  const { admission, handler, registry } = options;
  using _place = admission.enter(handler.hasOpenJob(hello, session.hostId));
  return await handler.opened(hello, session, registry.get(session.hostId));
}

async function converse(
  stream: AgentStream,
  session: StreamSession,
  epoch: SessionEpoch,
  options: ConnectOptions,
): Promise<void> {
  const { heartbeatTimeoutMs, messagesPerSecond } = options.limits;
  const rate = new MessageRate(messagesPerSecond, options.clock.monotonicMs());
  const takeHeartbeat = (): boolean => rate.take(options.clock.monotonicMs());
  for (;;) {
    const heard = await stream.next(heartbeatTimeoutMs, takeHeartbeat);
    if (heard.kind === "silent")
      throw new StreamEndedError("unavailable", `no message within ${heartbeatTimeoutMs} ms`);
    if (heard.kind !== "message") return;
    if (!rate.take(options.clock.monotonicMs()))
      throw new StreamEndedError("resourceExhausted", `more than ${messagesPerSecond} messages a second`);
    await handleMessage(heard.message, session, epoch, options.handler);
  }
}

async function handleMessage(
  message: AgentMessage,
  session: StreamSession,
  epoch: SessionEpoch,
  handler: SessionHandler,
): Promise<void> {
  checkMessage(AgentMessageSchema, message);
  switch (message.message.case) {
    case "hello":
      throw new InvalidFieldError("hello", "may only be the first message of a stream");
    case "updateProgress":
      return await handler.progressed(message.message.value, session, epoch);
    case "heartbeat":
    // Of a newer agent: it does not know that this server can't read it.
    case undefined:
      return;
  }
}

async function close(session: StreamSession, epoch: SessionEpoch, options: ConnectOptions): Promise<void> {
  try {
    await options.handler.closed(session, epoch);
  } catch (error) {
    options.log.unexpected("closing a session", error);
  }
}

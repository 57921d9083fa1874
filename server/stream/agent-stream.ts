/**
 * One Connect call, with the edges of grpc-js filed off:
 *
 *     open ──fail(error) | finish()──▶ ending ──status left, or flush timeout──▶ ended
 *       └────────────────── the agent went away ──────────────────────────────────┘
 *
 * - Messages are read one at a time and only when asked for, so what an agent
 *   sends faster than it is handled waits in its own TCP queue.
 * - `ended` is aborted on leaving `open`; nothing is sent or read after that.
 * - `cancelled` is the one event that grpc-js raises however a call ends.
 * - A reader that stalls can't be told anything: its connection is destroyed.
 */
import { Metadata, type ServerDuplexStream } from "@grpc/grpc-js";
import type { AgentMessage, ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock } from "../domain/clock.ts";
import type { AgentConnection } from "./connection-gate.ts";
import { HEARTBEAT } from "./agent-messages.ts";
import { expectFlushed } from "./flush-deadline.ts";
import type { GrpcStatus } from "./grpc-status.ts";
import type { ListenerLimits } from "./limits.ts";

/** The grpc-js side of a Connect call. */
export type ConnectCall = ServerDuplexStream<AgentMessage, ServerMessage | Buffer>;

/** What came of waiting for a message. */
export type Heard =
  | { readonly kind: "message"; readonly message: AgentMessage }
  | { readonly kind: "halfClosed" }
  | { readonly kind: "silent" }
  | { readonly kind: "ended" };

type StreamLimits = Pick<ListenerLimits, "queuedMessages" | "flushTimeoutMs">;

/** After a deadline, time to read what had arrived while this process was stalled. */
const SECOND_LOOK_MS = 1_000;

/** See the chapter above. Owned by the handler of its call. */
export class AgentStream {
  readonly connection: AgentConnection;
  readonly #call: ConnectCall;
  readonly #clock: Clock;
  readonly #limits: StreamLimits;
  readonly #lifetime = new AbortController();
  #wake: () => void = () => {};
  /** When the wait that is under way began, or a heartbeat was taken during it. */
  #heardAtMs = 0;

  constructor(call: ConnectCall, connection: AgentConnection, clock: Clock, limits: StreamLimits) {
    this.connection = connection;
    this.#call = call;
    this.#clock = clock;
    this.#limits = limits;
    call.on("readable", () => this.#wake());
    call.on("end", () => this.#wake());
    call.once("cancelled", () => this.#leave());
    if (call.cancelled) this.#leave();
    // An agent may wait for headers before it says anything.
    call.sendMetadata(new Metadata());
  }

  /** Aborted once nothing more is sent or read. */
  get ended(): AbortSignal {
    return this.#lifetime.signal;
  }

  /**
   * The next message, or why there is none within `timeoutMs`. One caller at a time.
   *
   * A heartbeat that `takeHeartbeat` takes is no message: the wait goes on, and its time begins anew.
   */
  next(timeoutMs: number, takeHeartbeat: () => boolean = () => false): Promise<Heard> {
    return new Promise((resolve) => {
      let timer: Disposable | undefined;
      this.#heardAtMs = this.#clock.monotonicMs();
      const settle = (heard: Heard): void => {
        timer?.[Symbol.dispose]();
        this.#wake = () => {};
        resolve(heard);
      };
      const look = (): boolean => {
        const heard = this.#look(takeHeartbeat);
        if (heard !== undefined) settle(heard);
        return heard !== undefined;
      };
      const waitFor = (leftMs: number): void => {
        timer = this.#clock.schedule(leftMs, () => {
          const silentMs = this.#clock.monotonicMs() - this.#heardAtMs;
          if (silentMs < timeoutMs) return waitFor(timeoutMs - silentMs);
          timer = this.#clock.schedule(SECOND_LOOK_MS, () => {
            if (look()) return;
            if (this.#clock.monotonicMs() - this.#heardAtMs < timeoutMs) waitFor(timeoutMs);
            else settle({ kind: "silent" });
          });
        });
      };
      this.#wake = look;
      if (!look()) waitFor(timeoutMs);
    });
  }

  /** Queues one message. False once the stream ended, or when that ends it because its queue is full. */
  send(message: ServerMessage | Buffer): boolean {
    if (this.ended.aborted) return false;
    if (this.#call.writableLength >= this.#limits.queuedMessages) {
      this.#leave();
      this.connection.destroy();
      return false;
    }
    this.#call.write(message);
    return true;
  }

  /** Ends the stream with a status other than OK. */
  fail(status: GrpcStatus): void {
    this.#end(() => this.#call.emit("error", status));
  }

  /** Ends the stream with OK. */
  finish(): void {
    this.#end(() => this.#call.end());
  }

  #end(sendStatus: () => void): void {
    if (this.ended.aborted) return;
    expectFlushed(this.#call, this.connection, this.#clock, this.#limits.flushTimeoutMs);
    sendStatus();
    this.#leave();
  }

  #leave(): void {
    this.#lifetime.abort();
    this.#wake();
  }

  #look(takeHeartbeat: () => boolean): Heard | undefined {
    for (;;) {
      if (this.ended.aborted) return { kind: "ended" };
      const message = this.#call.read() as AgentMessage | null;
      if (message === null) return this.#call.readableEnded ? { kind: "halfClosed" } : undefined;
      if (message !== HEARTBEAT || !takeHeartbeat()) return { kind: "message", message };
      this.#heardAtMs = this.#clock.monotonicMs();
    }
  }
}

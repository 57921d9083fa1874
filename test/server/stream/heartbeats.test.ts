import { Duplex } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../../gen/grpc.ts";
import { AgentMessageSchema, type AgentMessage } from "../../../gen/rollcall/v1/agent_pb.js";
import { HEARTBEAT, readAgentMessage } from "../../../server/stream/agent-messages.ts";
import { AgentStream, type ConnectCall } from "../../../server/stream/agent-stream.ts";
import { ManualClock } from "./manual-clock.ts";
import { eventually } from "./test-listener.ts";

const TIMEOUT_MS = 45_000;

/** The server's end of a call, as far as a stream of messages needs it. */
class FakeCall extends Duplex {
  readonly cancelled = false;

  constructor() {
    super({ objectMode: true });
  }

  sendMetadata(): void {}

  override _read(): void {}
}

function openStream() {
  const clock = new ManualClock();
  const call = new FakeCall();
  const connection = { peer: "127.0.0.1:1", trust: () => undefined, destroy: () => undefined };
  const limits = { queuedMessages: 64, flushTimeoutMs: 5_000 };
  return { clock, call, stream: new AgentStream(call as unknown as ConnectCall, connection, clock, limits) };
}

describe("heartbeats", () => {
  test("are one message, whoever sends them; anything else is a message of its own", () => {
    const beat = encodeMessage(AgentMessageSchema, HEARTBEAT);
    expect(readAgentMessage(Buffer.from(beat))).toBe(HEARTBEAT);
    const progress: AgentMessage = create(AgentMessageSchema, { message: { case: "updateProgress", value: {} } });
    expect(readAgentMessage(encodeMessage(AgentMessageSchema, progress))).toEqual(progress);
    // With a field that this server does not know: number 15, a varint.
    const [tag = 0] = beat;
    expect(readAgentMessage(Buffer.from([tag, 2, 15 << 3, 1]))).not.toBe(HEARTBEAT);
  });

  test("end no wait and set no timer, and a stream is silent its whole time after the last one", async () => {
    const { clock, call, stream } = openStream();
    let beats = 0;
    let heard: string | undefined;
    const wait = stream
      .next(TIMEOUT_MS, () => {
        beats += 1;
        return true;
      })
      .then(({ kind }) => (heard = kind));
    for (let beat = 1; beat <= 5; beat += 1) {
      clock.advance(40_000);
      call.push(HEARTBEAT);
      await eventually(() => beats === beat);
      expect(clock.size).toBe(1);
    }
    clock.advance(TIMEOUT_MS - 1);
    await eventually(() => true);
    expect(heard).toBeUndefined();
    clock.advance(1_001);
    await wait;
    expect([heard, clock.size]).toEqual(["silent", 0]);
  });

  test("that are too many are handed on as messages", async () => {
    const { call, stream } = openStream();
    const wait = stream.next(TIMEOUT_MS, () => false);
    call.push(HEARTBEAT);
    expect(await wait).toEqual({ kind: "message", message: HEARTBEAT });
  });
});

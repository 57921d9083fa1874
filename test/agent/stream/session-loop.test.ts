import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HelloSchema, type ServerMessage, type Welcome } from "../../../gen/rollcall/v1/agent_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { openChannel } from "../../../agent/stream/channel.ts";
import { runSessionLoop } from "../../../agent/stream/session-loop.ts";
import type { Session, SessionListener } from "../../../agent/stream/session.ts";
import { createTestAuthority, startFakeAgentServer, type FakeAgentServer } from "../../support/fake-agent-server.ts";
import { Mailbox } from "../../support/mailbox.ts";
import { FakeClock } from "../fake-clock.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { RecordingLog } from "../recording-log.ts";

const AUTHORITY = createTestAuthority();
const UNUSED_ADDRESS = "localhost:1";

class Listener implements SessionListener {
  readonly welcomes = new Mailbox<{ session: Session; welcome: Welcome }>();
  readonly messages = new Mailbox<ServerMessage["message"]>();

  welcomed(session: Session, welcome: Welcome): void {
    this.welcomes.put({ session, welcome });
  }

  received(_session: Session, message: ServerMessage): void {
    this.messages.put(message.message);
  }
}

class RunningLoop implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLog();
  readonly listener = new Listener();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  isUrgent = false;
  credential = "first-credential";

  constructor(servers: readonly string[], caPem = AUTHORITY.caPem) {
    this.#ended = runSessionLoop(
      {
        servers: () => servers,
        openChannel: (server) => openChannel(server, Buffer.from(caPem)),
        credential: () => this.credential,
        hello: () => create(HelloSchema, { agentVersion: "1.0" }),
        isUrgent: () => this.isUrgent,
        listener: this.listener,
        clock: this.clock,
        random: { next: () => 0.5, uuid: () => "" },
        log: this.log,
      },
      this.#stop.signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    expect(this.clock.sleeping).toEqual([]);
  }
}

let server: FakeAgentServer;
beforeAll(async () => {
  server = await startFakeAgentServer(AUTHORITY);
});
afterEach(() => {
  server.script.rejectConnect = undefined;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  expect(server.connections.size).toBe(0);
  expect(await findOpenSockets()).toEqual([]);
});

test("the first attempt is immediate: Hello goes out with the credential before anything was answered", async () => {
  await using loop = new RunningLoop([server.address]);
  const connection = await server.connections.take();
  expect((await connection.hello()).agentVersion).toBe("1.0");
  expect(connection.authorization).toBe("Bearer first-credential");
  expect(loop.log.events.map((logged) => logged.event)).toEqual(["connecting"]);
});

test("a welcomed session sends heartbeats at the interval that the server set", async () => {
  await using loop = new RunningLoop([server.address]);
  const connection = await server.connections.take();
  await connection.hello();
  connection.welcome(7n, 4_000);
  const { session } = await loop.listener.welcomes.take();
  expect(session.epoch).toBe(7n);
  for (let beat = 0; beat < 3; beat += 1) {
    await loop.clock.untilSleeping((delayMs) => delayMs === 4_000);
    loop.clock.advance(4_000);
    expect((await connection.inbox.take()).message.case).toBe("heartbeat");
  }
});

test("messages arrive in order, and those of kinds that this agent does not know do no harm", async () => {
  await using loop = new RunningLoop([server.address]);
  const connection = await server.connections.take();
  connection.welcome(1n);
  connection.send({ case: undefined });
  connection.send({ case: "cancelUpdate", value: { jobId: "x" } });
  await loop.listener.welcomes.take();
  expect((await loop.listener.messages.take()).case).toBeUndefined();
  expect((await loop.listener.messages.take()).case).toBe("cancelUpdate");
});

test("a server that does not welcome within 10 s is left, within 5 s while an update is at stake", async () => {
  await using loop = new RunningLoop([server.address]);
  const first = await server.connections.take();
  await first.hello();
  loop.isUrgent = true;
  loop.clock.advance(9_999);
  loop.clock.advance(1);
  await first.closed;
  expect((await loop.log.until("connect_failed"))["cause"]).toContain("no Welcome within 10000 ms");
  await loop.clock.untilSleeping((delayMs) => delayMs <= 3_000);
  loop.clock.advance(3_000);
  const second = await server.connections.take();
  await second.hello();
  loop.clock.advance(5_000);
  await second.closed;
  expect((await loop.log.until("connect_failed", 2))["cause"]).toContain("no Welcome within 5000 ms");
});

test("a lost session is followed by another after a jittered pause, with the credential of then", async () => {
  await using loop = new RunningLoop([server.address]);
  const first = await server.connections.take();
  first.welcome(1n);
  const { session } = await loop.listener.welcomes.take();
  loop.credential = "second-credential";
  first.fail({ code: status.UNAVAILABLE, details: "bye" });
  expect((await loop.log.until("reconnect_pause"))["pause_ms"]).toBe(500);
  expect(session.signal.aborted).toBe(true);
  loop.clock.advance(500);
  const second = await server.connections.take();
  expect(second.authorization).toBe("Bearer second-credential");
});

test("pauses grow while servers stay away, and all servers are tried before each", async () => {
  await using loop = new RunningLoop([UNUSED_ADDRESS, "localhost:2"]);
  const pauses: number[] = [];
  for (let round = 1; round <= 4; round += 1) {
    pauses.push(Number((await loop.log.until("reconnect_pause", round))["pause_ms"]));
    loop.clock.advance(pauses.at(-1) ?? 0);
  }
  await loop.log.until("reconnect_pause", 5);
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000]);
  const tried = loop.log.events.filter((logged) => logged.event === "connecting").map((logged) => logged["server"]);
  expect(tried.slice(0, 4)).toEqual([UNUSED_ADDRESS, "localhost:2", UNUSED_ADDRESS, "localhost:2"]);
});

test("the next server in the list is tried at once when the first is away", async () => {
  await using loop = new RunningLoop([UNUSED_ADDRESS, server.address]);
  const connection = await server.connections.take();
  connection.welcome(1n);
  await loop.listener.welcomes.take();
  expect(loop.clock.monotonicMs()).toBe(0);
});

test("after a session ended, the server that had it is the last to be asked", async () => {
  await using other = await startFakeAgentServer(AUTHORITY);
  await using loop = new RunningLoop([server.address, other.address]);
  for (const [turn, next] of [server, other, server].entries()) {
    const connection = await next.connections.take();
    connection.welcome(BigInt(turn + 1));
    await loop.listener.welcomes.take();
    connection.fail({ code: status.UNAVAILABLE, details: "bye" });
    const pause = await loop.log.until("reconnect_pause", turn + 1);
    loop.clock.advance(Number(pause["pause_ms"]));
  }
  await other.connections.take();
});

test("a server that asks for patience gets it, and one that turns this host away is left alone for long", async () => {
  server.script.rejectConnect = {
    code: status.UNAVAILABLE,
    details: "draining",
    refusal: { reason: Refusal_Reason.DRAINING, retryAfterMs: 7_000 },
  };
  await using loop = new RunningLoop([server.address]);
  expect((await loop.log.until("reconnect_pause"))["pause_ms"]).toBe(7_000);
  expect((await loop.log.until("connect_failed"))["cause"]).toBe("UNAVAILABLE (draining): draining");
  server.script.rejectConnect = { code: status.UNAUTHENTICATED, details: "unknown credential" };
  loop.clock.advance(7_000);
  expect((await loop.log.until("reconnect_pause", 2))["pause_ms"]).toBe(45_000);
  expect(await loop.log.until("connect_failed", 2)).toMatchObject({
    level: "error",
    cause: "UNAUTHENTICATED: unknown credential",
  });
});

test("a refusal that says nothing of this host does not send it away for long", async () => {
  server.script.rejectConnect = {
    code: status.FAILED_PRECONDITION,
    details: "no Hello within 10000 ms",
    refusal: { reason: Refusal_Reason.HELLO_MISSING },
  };
  await using loop = new RunningLoop([server.address]);
  expect((await loop.log.until("reconnect_pause"))["pause_ms"]).toBe(500);
});

test("a session that was open and ended in an error is taken up again soon", async () => {
  await using loop = new RunningLoop([server.address]);
  const connection = await server.connections.take();
  connection.welcome(1n);
  await loop.listener.welcomes.take();
  connection.fail({ code: status.INVALID_ARGUMENT, details: "a report broke a rule" });
  expect((await loop.log.until("reconnect_pause"))["pause_ms"]).toBe(500);
});

test("a server with another authority's certificate learns nothing", async () => {
  await using loop = new RunningLoop([server.address], createTestAuthority().caPem);
  await loop.log.until("connect_failed");
  expect(server.connections.size).toBe(0);
});

test("after a goodbye nothing more is said, and the session ends in order", async () => {
  await using loop = new RunningLoop([server.address]);
  const connection = await server.connections.take();
  await connection.hello();
  connection.welcome(1n, 1_000);
  const { session } = await loop.listener.welcomes.take();
  session.close();
  await loop.clock.untilSleeping((delayMs) => delayMs === 1_000);
  loop.clock.advance(1_000);
  expect((await loop.log.until("disconnected"))["cause"]).toBe("OK: OK");
  expect(connection.inbox.size).toBe(0);
});

import { create } from "@bufbuild/protobuf";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { AgentMessageSchema, ServerMessageSchema, UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { encodeMessage } from "../../../gen/grpc.ts";
import { RefusedError, UnavailableError } from "../../../server/domain/errors.ts";
import { DEFAULT_LIMITS } from "../../../server/stream/limits.ts";
import { validHello } from "../../support/scripted-agent.ts";
import { openResources } from "./open-resources.ts";
import { eventually, expectClean, HOST, JOB, OTHER_HOST, startListener } from "./test-listener.ts";

const cancel = create(ServerMessageSchema, { message: { case: "cancelUpdate", value: { jobId: JOB } } });

describe("a session", () => {
  test("opens with Hello, gets Welcome first, and closes once", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream, welcome } = await agent.hello();
    expect(welcome.sessionEpoch).toBe(1n);
    expect(server.sessions.openings[0]?.session).toMatchObject({ hostId: HOST, instanceId: validHello().instanceId });
    expect(server.sessions.openings[0]?.session.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect([...server.listener.sessions].map((session) => session.hostId)).toEqual([HOST]);
    stream.halfClose();
    expect(await stream.ended).toMatchObject({ code: Status.OK });
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(server.sessions.closings[0]?.epoch).toBe(1n);
    expect(server.listener.sessions.get(HOST)).toBeUndefined();
    await expectClean(server);
  });

  test("gets headers before it says anything", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const stream = agent.connect();
    await stream.headers;
    stream.cancel();
    await stream.ended;
    await expectClean(server);
  });

  test("is sent what the server sends it, encoded or not", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream } = await agent.hello();
    expect(server.listener.sessions.send(HOST, cancel)).toBe(true);
    expect(server.listener.sessions.send(HOST, encodeMessage(ServerMessageSchema, cancel))).toBe(true);
    expect(server.listener.sessions.send(OTHER_HOST, cancel)).toBe(false);
    expect(await stream.next()).toEqual(cancel);
    expect(await stream.next()).toEqual(cancel);
    await expectClean(server);
  });

  test("sends nothing before it is opened and nothing after it ended", async () => {
    await using server = await startListener();
    let early: boolean | undefined;
    server.sessions.onOpened = async ({ session }) => {
      early = session.send(cancel);
    };
    using agent = server.agent();
    const { stream } = await agent.hello();
    expect(early).toBe(false);
    const session = server.sessions.openings[0]?.session;
    session?.end(new RefusedError("host_unknown", "this host was removed"));
    expect(session?.send(cancel)).toBe(false);
    expect(server.listener.sessions.size).toBe(0);
    const end = await stream.ended;
    expect(end).toMatchObject({ code: Status.NOT_FOUND, details: "this host was removed" });
    expect(end.refusal?.reason).toBe(Refusal_Reason.HOST_UNKNOWN);
    expect(end.metadata.get("grpc-status-details-bin")).toHaveLength(1);
    await expectClean(server);
  });

  test("handles progress in order, one at a time, and leaves the rest unread meanwhile", async () => {
    await using server = await startListener();
    let release = (): void => {};
    const first = new Promise<void>((resolve) => (release = resolve));
    server.sessions.onProgressed = async () => await first;
    using agent = server.agent();
    const { stream } = await agent.hello();
    for (let bytesDone = 0n; bytesDone < 40n; bytesDone += 1n)
      stream.sendProgress({ jobId: JOB, phase: UpdatePhase.DOWNLOADING, bytesDone, bytesTotal: 40n });
    await eventually(() => server.sessions.greatestOverlap === 1);
    release();
    await server.sessions.until(() => server.sessions.progress.length === 40);
    expect(server.sessions.progress.map((progress) => progress.bytesDone)).toEqual(
      Array.from({ length: 40 }, (_, index) => BigInt(index)),
    );
    await expectClean(server);
  });

  test("ends with the failure of its handler, in the handler's words only where they are meant for it", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const failures = [new UnavailableError("the database is away"), new Error("secret: /var/lib/x")];
    server.sessions.onProgressed = async () => {
      throw failures.shift();
    };
    const ends = [];
    for (let round = 0; round < 2; round += 1) {
      const { stream } = await agent.hello();
      stream.sendProgress({ jobId: JOB, phase: UpdatePhase.STAGED });
      ends.push(await stream.ended);
    }
    expect(ends[0]).toMatchObject({ code: Status.UNAVAILABLE, details: "the database is away" });
    expect(ends[1]).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
    expect(server.log.entries).toHaveLength(1);
    await server.sessions.until(() => server.sessions.closings.length === 2);
    await expectClean(server);
  });

  test("ignores messages of kinds it does not know", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream } = await agent.hello();
    // Field 99, length-delimited, empty.
    stream.send(Buffer.from([0x9a, 0x06, 0x00]));
    stream.sendProgress({ jobId: JOB, phase: UpdatePhase.STAGED });
    await server.sessions.until(() => server.sessions.progress.length === 1);
    expect(server.listener.sessions.size).toBe(1);
    await expectClean(server);
  });

  test("that sends more than 50 messages a second ends", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream } = await agent.hello();
    for (let count = 0; count < 51; count += 1) stream.sendHeartbeat();
    expect(await stream.ended).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
    await server.sessions.until(() => server.sessions.closings.length === 1);
    await expectClean(server);
  });
});

describe("Hello", () => {
  const wrong: readonly (readonly [string, Parameters<typeof validHello>[0], string])[] = [
    ["no version", { agentVersion: "" }, "hello.agentVersion"],
    ["a version that climbs out of its folder", { agentVersion: "1..2" }, "hello.agentVersion"],
    ["a version that is too long", { agentVersion: "1".repeat(129) }, "hello.agentVersion"],
    ["a hostname with NUL", { hostname: "host\u0000" }, "hello.hostname"],
    ["a hostname with markup", { hostname: "<b>host</b>" }, "hello.hostname"],
    ["no hostname", { hostname: "" }, "hello.hostname"],
    ["an instance id that is no UUID", { instanceId: "1" }, "hello.instanceId"],
    ["an operating system in capitals", { os: "Linux" }, "hello.os"],
    ["an architecture with a space", { arch: "x 64" }, "hello.arch"],
    [
      "too many packages",
      { packages: Array.from({ length: 65 }, () => ({ package: "p", version: "1" })) },
      "hello.packages",
    ],
    ["a package without a version", { packages: [{ package: "p" }] }, "hello.packages[0].version"],
    ["a job id that is no UUID", { activeJob: { jobId: "x", phase: UpdatePhase.STAGED } }, "hello.activeJob.jobId"],
    ["a job without a phase", { activeJob: { jobId: JOB } }, "hello.activeJob.phase"],
    [
      "a short digest",
      { activeJob: { jobId: JOB, phase: UpdatePhase.STAGED, manifestSha256: Uint8Array.of(1) } },
      "hello.activeJob.manifestSha256",
    ],
    [
      "bidi controls in a path",
      { lastUpdate: { jobId: JOB, outcome: 2, details: { path: "/a\u202e" } } },
      "hello.lastUpdate.details.path",
    ],
  ];
  test("with a field that breaks its rule is refused and the field named", async () => {
    await using server = await startListener();
    using agent = server.agent();
    for (const [what, changes, field] of wrong) {
      const stream = agent.connect();
      stream.sendHello(validHello(changes));
      const end = await stream.ended;
      expect.soft(end, what).toMatchObject({ code: Status.INVALID_ARGUMENT, invalidField: { field } });
      expect.soft(end.details, what).toContain(field);
    }
    expect(server.sessions.openings).toHaveLength(0);
    await expectClean(server);
  });

  test("must be the first message", async () => {
    await using server = await startListener();
    using agent = server.agent();
    for (const first of [{ case: "heartbeat", value: {} } as const, { case: undefined }]) {
      const stream = agent.connect();
      stream.send({ message: first });
      const end = await stream.ended;
      expect(end.code).toBe(Status.FAILED_PRECONDITION);
      expect(end.refusal?.reason).toBe(Refusal_Reason.HELLO_MISSING);
    }
    const silent = agent.connect();
    silent.halfClose();
    expect((await silent.ended).refusal?.reason).toBe(Refusal_Reason.HELLO_MISSING);
    await expectClean(server);
  });

  test("may only be the first message", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream } = await agent.hello();
    stream.sendHello();
    expect(await stream.ended).toMatchObject({ code: Status.INVALID_ARGUMENT, invalidField: { field: "hello" } });
    await expectClean(server);
  });

  test("must come within 10 s", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const stream = agent.connect();
    await stream.headers;
    await server.clock.scheduled(DEFAULT_LIMITS.helloTimeoutMs);
    server.clock.advance(9_999);
    stream.call.write(create(AgentMessageSchema, {}));
    expect((await stream.ended).refusal?.reason).toBe(Refusal_Reason.HELLO_MISSING);
    const late = agent.connect();
    await late.headers;
    await server.clock.scheduled(DEFAULT_LIMITS.helloTimeoutMs);
    server.clock.advance(11_000);
    const end = await late.ended;
    expect(end).toMatchObject({ code: Status.FAILED_PRECONDITION, details: "no Hello within 10000 ms" });
    await expectClean(server);
  });

  test("of too old a protocol is told what to do, whatever else it holds", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const stream = agent.connect();
    stream.sendHello(validHello({ protocolVersion: 0, hostname: "" }));
    const end = await stream.ended;
    expect(end.code).toBe(Status.FAILED_PRECONDITION);
    expect(end.refusal).toMatchObject({
      reason: Refusal_Reason.PROTOCOL_TOO_OLD,
      details: { protocol_version: "0", oldest_protocol_version: "1" },
    });
    expect(end.details).toContain("install the agent again");
    await expectClean(server);
  });

  test("that the handler refuses opens no session", async () => {
    await using server = await startListener();
    server.sessions.onOpened = async () => {
      throw new RefusedError("identity_duplicated", "another machine uses this credential", {}, 60_000);
    };
    using agent = server.agent();
    const stream = agent.connect();
    stream.sendHello();
    const end = await stream.ended;
    expect(end.code).toBe(Status.ALREADY_EXISTS);
    expect(end.refusal?.retryAfterMs).toBe(60_000);
    await expectClean(server);
    expect(server.sessions.closings).toHaveLength(0);
  });
});

describe("of two sessions of one host", () => {
  test("the newer replaces the older, which is told so", async () => {
    await using server = await startListener();
    using agent = server.agent();
    using second = server.agent();
    const older = await agent.hello();
    const newer = await second.hello();
    expect(await older.stream.ended).toMatchObject({
      code: Status.ABORTED,
      details: "replaced by a newer session of this host",
    });
    expect(server.sessions.openings[1]?.incumbent).toBe(server.sessions.openings[0]?.session);
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(server.sessions.closings[0]?.epoch).toBe(older.welcome.sessionEpoch);
    expect(server.listener.sessions.get(HOST)?.epoch).toBe(newer.welcome.sessionEpoch);
    expect(server.listener.sessions.size).toBe(1);
    await expectClean(server);
    expect(server.sessions.closings).toHaveLength(2);
  });

  test("the one with the higher epoch stays, also when the other opens later", async () => {
    await using server = await startListener();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    server.sessions.onOpened = async () => {
      if (server.sessions.openings.length === 1) await held;
    };
    using agent = server.agent();
    using second = server.agent();
    const slow = agent.connect();
    slow.sendHello();
    await server.sessions.until(() => server.sessions.openings.length === 1);
    const { welcome } = await second.hello();
    release();
    expect(await slow.ended).toMatchObject({ code: Status.ABORTED });
    expect(server.listener.sessions.get(HOST)?.epoch).toBe(welcome.sessionEpoch);
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(server.sessions.closings[0]?.epoch).toBe(1n);
    await expectClean(server);
  });

  test("each host has its own", async () => {
    await using server = await startListener();
    using agent = server.agent();
    using other = server.agent(OTHER_HOST);
    await agent.hello();
    await other.hello();
    expect(server.listener.sessions.size).toBe(2);
    await expectClean(server);
  });
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

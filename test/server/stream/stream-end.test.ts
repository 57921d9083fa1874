import { create } from "@bufbuild/protobuf";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { ServerMessageSchema, UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { RefusedError } from "../../../server/domain/errors.ts";
import { openResources } from "./open-resources.ts";
import { startProxy } from "./tcp-proxy.ts";
import { eventually, expectClean, HOST, JOB, OTHER_HOST, startListener } from "./test-listener.ts";

const cancel = create(ServerMessageSchema, { message: { case: "cancelUpdate", value: { jobId: JOB } } });

describe("a stream that dies", () => {
  test("while its session opens is closed once, after the opening", async () => {
    await using server = await startListener();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    server.sessions.onOpened = async () => await held;
    using agent = server.agent();
    const stream = agent.connect();
    stream.sendHello();
    await server.sessions.until(() => server.sessions.openings.length === 1);
    stream.cancel();
    await stream.ended;
    await eventually(() => server.sessions.openings[0]?.session.send(cancel) === false);
    expect(server.sessions.closings).toHaveLength(0);
    release();
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(server.listener.sessions.size).toBe(0);
    await expectClean(server);
    expect(server.sessions.closings).toHaveLength(1);
  });

  test("by its agent's reset or a lost connection leaves nothing", async () => {
    await using server = await startListener();
    await using proxy = await startProxy(server.listener.address.port);
    using reset = server.agent();
    const { stream } = await reset.hello();
    using lost = server.agent(OTHER_HOST, { address: proxy.address });
    await lost.hello();
    stream.cancel();
    proxy.reset();
    await server.sessions.until(() => server.sessions.closings.length === 2);
    expect(server.listener.sessions.size).toBe(0);
    await expectClean(server);
    expect(server.sessions.closings).toHaveLength(2);
  });

  test("because its peer answers no keepalive is dropped", async () => {
    await using server = await startListener({ keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 });
    await using proxy = await startProxy(server.listener.address.port);
    using agent = server.agent(HOST, { address: proxy.address });
    await agent.hello();
    proxy.freeze();
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(server.listener.sessions.size).toBe(0);
    await eventually(() => server.listener.counts.connections === 0);
    await expectClean(server);
  });

  test("of silence for 45 s ends, and heartbeats keep it", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream } = await agent.hello();
    await server.clock.scheduled(45_000);
    server.clock.advance(44_000);
    stream.sendHeartbeat();
    stream.sendProgress({ jobId: JOB, phase: UpdatePhase.STAGED });
    await server.sessions.until(() => server.sessions.progress.length === 1);
    await server.clock.scheduled(45_000);
    server.clock.advance(44_000);
    expect(server.listener.sessions.size).toBe(1);
    server.clock.advance(2_000);
    expect(await stream.ended).toMatchObject({ code: Status.UNAVAILABLE, details: "no message within 45000 ms" });
    await server.sessions.until(() => server.sessions.closings.length === 1);
    await expectClean(server);
  });

  test("does not die of a server that was itself stalled", async () => {
    await using server = await startListener();
    using agent = server.agent();
    const { stream } = await agent.hello();
    await server.clock.scheduled(45_000);
    // The deadline passes before the process gets to read what had come in time.
    server.clock.advance(45_000);
    stream.sendProgress({ jobId: JOB, phase: UpdatePhase.STAGED });
    await server.sessions.until(() => server.sessions.progress.length === 1);
    server.clock.advance(1_500);
    expect(server.listener.sessions.size).toBe(1);
    await expectClean(server);
  });

  test("does not die of a slow handler", async () => {
    await using server = await startListener();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    let isHandling = false;
    server.sessions.onProgressed = async () => {
      isHandling = true;
      await held;
    };
    using agent = server.agent();
    const { stream } = await agent.hello();
    stream.sendProgress({ jobId: JOB, phase: UpdatePhase.STAGED });
    await eventually(() => isHandling);
    server.clock.advance(500_000);
    expect(server.listener.sessions.size).toBe(1);
    release();
    await server.sessions.until(() => server.sessions.progress.length === 1);
    await expectClean(server);
  });
});

describe("a slow reader", () => {
  test("loses its connection past 64 queued messages, and memory stays bounded", async () => {
    await using server = await startListener();
    await using proxy = await startProxy(server.listener.address.port);
    using agent = server.agent(HOST, { address: proxy.address });
    await agent.hello();
    proxy.stopReading();
    // Far more than HTTP/2 windows and socket buffers take.
    const large = Buffer.alloc(64 * 1_024, 1);
    const before = process.memoryUsage().rss;
    let sent = 0;
    while (sent < 1_000 && server.listener.sessions.send(HOST, large)) sent += 1;
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(sent).toBe(64);
    expect(process.memoryUsage().rss - before).toBeLessThan(40 * 1_048_576);
    expect(server.listener.sessions.size).toBe(0);
    await eventually(() => server.listener.counts.connections === 0);
    await expectClean(server);
  });

  test("that can't be told its status loses its connection", async () => {
    await using server = await startListener();
    await using proxy = await startProxy(server.listener.address.port);
    using agent = server.agent(HOST, {
      address: proxy.address,
      channelOptions: { "grpc-node.flow_control_window": 65_535 },
    });
    await agent.hello();
    proxy.stopReading();
    for (let count = 0; count < 60; count += 1) server.listener.sessions.send(HOST, Buffer.alloc(200 * 1_024));
    server.listener.disconnect(HOST, new RefusedError("host_unknown", "this host was removed"));
    expect(server.listener.sessions.size).toBe(0);
    await server.clock.scheduled(5_000);
    expect(server.listener.counts.connections).toBe(1);
    server.clock.advance(5_000);
    await eventually(() => server.listener.counts.connections === 0);
    await expectClean(server);
  });
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

import { once } from "node:events";
import { connect } from "node:net";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { openResources } from "./open-resources.ts";
import { startProxy } from "./tcp-proxy.ts";
import { eventually, expectClean, HOST, leaf, OTHER_HOST, startListener } from "./test-listener.ts";

describe("a drain", () => {
  test("tells every agent to come back, spread over some seconds, and waits for what they leave behind", async () => {
    await using server = await startListener();
    using agent = server.agent();
    using other = server.agent(OTHER_HOST);
    using silent = server.agent();
    const streams = [(await agent.hello()).stream, (await other.hello()).stream, silent.connect()];
    await streams[2]?.headers;
    await server.listener.drain({ graceMs: 10_000 });
    for (const stream of streams) {
      const end = await stream.ended;
      expect(end).toMatchObject({ code: Status.UNAVAILABLE, refusal: { reason: Refusal_Reason.DRAINING } });
      expect(end.refusal?.retryAfterMs).toBeLessThanOrEqual(5_000);
    }
    expect(server.sessions.closings).toHaveLength(2);
    await expectClean(server);
  });

  test("takes no new connection", async () => {
    await using server = await startListener();
    using agent = server.agent();
    await agent.hello();
    const drained = server.listener.drain({ graceMs: 10_000 });
    const socket = connect({ host: "127.0.0.1", port: server.listener.address.port });
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNREFUSED");
    await drained;
    await expectClean(server);
  });

  test("cuts off who does not leave within the grace period", async () => {
    await using server = await startListener();
    await using proxy = await startProxy(server.listener.address.port);
    using agent = server.agent(HOST, { address: proxy.address });
    const { stream } = await agent.hello();
    proxy.freeze();
    let isDrained = false;
    const drained = server.listener.drain({ graceMs: 30_000 }).then(() => (isDrained = true));
    await server.clock.scheduled(30_000);
    for (let count = 0; count < 60; count += 1) server.listener.sessions.send(HOST, Buffer.alloc(65_536));
    await server.sessions.until(() => server.sessions.closings.length === 1);
    expect(isDrained).toBe(false);
    server.clock.advance(30_000);
    await drained;
    expect((await stream.ended).code).toBe(Status.UNAVAILABLE);
    await expectClean(server);
  });

  test("waits for a session that is still opening and closes it", async () => {
    await using server = await startListener();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    server.sessions.onOpened = async () => await held;
    using agent = server.agent();
    const stream = agent.connect();
    stream.sendHello();
    await server.sessions.until(() => server.sessions.openings.length === 1);
    const drained = server.listener.drain({ graceMs: 10_000 });
    expect((await stream.ended).refusal?.reason).toBe(Refusal_Reason.DRAINING);
    release();
    await drained;
    expect(server.sessions.closings).toHaveLength(1);
    await expectClean(server);
  });

  test("twice is once", async () => {
    const server = await startListener();
    await Promise.all([
      server.listener.drain({ graceMs: 1_000 }),
      server.listener.drain({ graceMs: 1_000 }),
      server.listener[Symbol.asyncDispose](),
    ]);
    await expectClean(server);
  });
});

describe("a renewed certificate", () => {
  test("is served to new connections while open ones go on", async () => {
    await using server = await startListener();
    using agent = server.agent();
    await agent.hello();
    const renewed = leaf(["127.0.0.1", "renewed.example"]);
    server.listener.renewCertificate(renewed);
    using other = server.agent(OTHER_HOST, { channelOptions: { "grpc.ssl_target_name_override": "renewed.example" } });
    await other.hello();
    expect(server.listener.sessions.size).toBe(2);
    await expectClean(server);
  });
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

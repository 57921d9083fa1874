import { gzipSync } from "node:zlib";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { openResources } from "./open-resources.ts";
import { ask, expectServing, http2To, MEBIBYTE } from "./strange-clients.ts";
import { eventually, startListener } from "./test-listener.ts";

/** A gRPC frame: flag, length, body. */
function frame(compressed: 0 | 1, body: Buffer, claimedLength = body.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(claimedLength, 1);
  return Buffer.concat([head, body]);
}

describe("messages", () => {
  test("that are oversized are refused by their length alone", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const session = http2To(server);
    expect(await ask(session, {}, frame(0, Buffer.alloc(1), 0xffff_ffff))).toMatchObject({
      grpcStatus: Status.RESOURCE_EXHAUSTED,
    });
    expect(await ask(session, {}, frame(0, Buffer.alloc(1), MEBIBYTE + 1))).toMatchObject({
      grpcStatus: Status.RESOURCE_EXHAUSTED,
    });
    session.destroy();
    await expectServing(server, before);
  });

  test("of malformed protobuf or malformed compression are refused", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const session = http2To(server);
    expect(await ask(session, {}, frame(0, Buffer.from([0x0a, 0xff, 0xff])))).toMatchObject({
      grpcStatus: Status.INTERNAL,
    });
    const broken = gzipSync(Buffer.from("hello")).subarray(0, 12);
    expect(await ask(session, { "grpc-encoding": "gzip" }, frame(1, broken))).toMatchObject({
      grpcStatus: Status.INTERNAL,
    });
    expect(await ask(session, { "grpc-encoding": "gzip" }, frame(1, Buffer.from("no gzip at all")))).toMatchObject({
      grpcStatus: Status.INTERNAL,
    });
    expect(await ask(session, { "grpc-encoding": "deflate" }, frame(1, Buffer.alloc(64, 0xff)))).toMatchObject({
      grpcStatus: Status.INTERNAL,
    });
    expect(await ask(session, { "grpc-encoding": "br" }, frame(1, Buffer.from("x")))).toMatchObject({
      grpcStatus: Status.UNIMPLEMENTED,
    });
    session.destroy();
    await expectServing(server, before);
  });

  test("of a few bytes that inflate to 64 MiB are refused", async () => {
    await using server = await startListener();
    const bomb = gzipSync(Buffer.alloc(64 * MEBIBYTE));
    const before = process.memoryUsage().rss;
    const session = http2To(server);
    expect(await ask(session, { "grpc-encoding": "gzip" }, frame(1, bomb))).toMatchObject({
      grpcStatus: Status.RESOURCE_EXHAUSTED,
    });
    session.destroy();
    await expectServing(server, before);
  });

  test("that are empty and come by the thousands end the session", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    using agent = server.agent();
    const { stream } = await agent.hello();
    for (let count = 0; count < 5_000; count += 1) stream.send(Buffer.alloc(0));
    expect((await stream.ended).code).toBe(Status.RESOURCE_EXHAUSTED);
    await expectServing(server, before);
  });
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

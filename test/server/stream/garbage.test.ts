import { createHash } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:http2";
import { connect as connectTls } from "node:tls";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { openResources } from "./open-resources.ts";
import { END_HEADERS, END_STREAM, FRAME, headerBlock, http2Frame, openHttp2, resetCodeOf } from "./raw-http2.ts";
import { ask, closed, CONNECT_PATH, expectServing, http2To, tcpTo } from "./strange-clients.ts";
import { authority, credentialOf, eventually, HOST, startListener } from "./test-listener.ts";

const RAW_HEADERS: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "https"],
  [":authority", "localhost"],
  [":path", CONNECT_PATH],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ["authorization", `Bearer ${credentialOf(HOST)}`],
];

describe("before HTTP/2", () => {
  test("plain HTTP and random bytes end the connection", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const noise = Buffer.concat(
      Array.from({ length: 2_048 }, (_, seed) => createHash("sha256").update(`${seed}`).digest()),
    );
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      noise,
    ]) {
      const socket = await tcpTo(server);
      socket.resume();
      socket.write(bytes);
      await closed(socket);
    }
    await eventually(() => server.listener.counts.connections === 0);
    await expectServing(server, before);
  });

  test("HTTP/1.1 inside TLS ends the connection", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const socket = connectTls({
      host: "127.0.0.1",
      port: server.listener.address.port,
      ca: authority.certPem,
      servername: "localhost",
      ALPNProtocols: ["http/1.1"],
    });
    socket.on("error", () => {});
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await closed(socket);
    await expectServing(server, before);
  });

  test("an open and a reset, two thousand times", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 100; round += 1) {
      const sockets = await Promise.all(Array.from({ length: 20 }, () => tcpTo(server)));
      for (const socket of sockets) socket.resetAndDestroy();
    }
    await eventually(() => server.listener.counts.connections === 0);
    await expectServing(server, before);
  });
});

describe("on HTTP/2", () => {
  test("what is no gRPC gets a clear answer", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const session = http2To(server);
    expect(await ask(session, { "content-type": "application/json" })).toMatchObject({ httpStatus: 415 });
    expect(
      await ask(session, { "content-type": "application/grpc", ":path": "/rollcall.v1.AgentService/Nothing" }),
    ).toMatchObject({ grpcStatus: Status.UNIMPLEMENTED });
    expect(await ask(session, { "grpc-timeout": "soon" })).toMatchObject({ grpcStatus: Status.INTERNAL });
    session.destroy();
    await expectServing(server, before);
  });

  test("malformed starts of streams hurt nobody else", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const well = RAW_HEADERS;
    const starts: readonly (readonly (readonly [string, string])[])[] = [
      [],
      [[":method", "POST"]],
      well.filter(([name]) => name !== ":path"),
      well.filter(([name]) => name !== ":method"),
      [...well, [":path", "/twice"]],
      [...well, ["grpc-timeout", "99999999999999999999S"]],
      [...well, ["grpc-timeout", "-1S"]],
      [...well, ["grpc-encoding", ""]],
      [...well, ["rollcall-x-bin", "%%%\u00ff"]],
      [...well, ["Capital", "1"]],
      [...well, ["x", "a\u0000b"]],
      [...well, ["connection", "close"]],
      well.map(([name, value]) => [name, name === ":method" ? "CONNECT" : value]),
      well.map(([name, value]) => [name, name === ":path" ? "no slash" : value]),
      well.map(([name, value]) => [name, name === "content-type" ? "application/grpc;;;" : value]),
    ];
    for (const start of starts) {
      for (const flags of [END_HEADERS, END_HEADERS | END_STREAM]) {
        const socket = await openHttp2(server.listener.address.port, authority.certPem);
        // A server that reads this dies of it or not before it sees the end of the connection.
        socket.end(http2Frame(FRAME.headers, flags, 1, headerBlock(start)));
        await closed(socket);
      }
    }
    const socket = await openHttp2(server.listener.address.port, authority.certPem);
    socket.write(http2Frame(FRAME.headers, END_HEADERS, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])));
    await closed(socket);
    await eventually(() => server.listener.counts.connections === 0);
    await expectServing(server, before);
  });

  test("headers that go on for ever end their connection", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const socket = await openHttp2(server.listener.address.port, authority.certPem);
    const ended = closed(socket);
    socket.write(http2Frame(FRAME.headers, 0, 1, headerBlock(RAW_HEADERS)));
    const more = http2Frame(
      FRAME.continuation,
      0,
      1,
      headerBlock(Array.from({ length: 100 }, () => ["x", "y".repeat(120)] as const)),
    );
    for (let count = 0; count < 100; count += 1) socket.write(more);
    await ended;
    await expectServing(server, before);
  });

  test("130 headers and 20 KiB of headers are refused", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const many = http2To(server);
    const pairs = Object.fromEntries(Array.from({ length: 130 }, (_, index) => [`x-${index}`, "1"]));
    expect(await ask(many, pairs)).toMatchObject({
      resetCode: constants.NGHTTP2_ENHANCE_YOUR_CALM,
      grpcStatus: undefined,
    });
    const socket = await openHttp2(server.listener.address.port, authority.certPem);
    const answered = resetCodeOf(socket, 1);
    const long = headerBlock([...RAW_HEADERS, ["x-long", "x".repeat(20_000)]]);
    socket.write(
      Buffer.concat([
        http2Frame(FRAME.headers, 0, 1, long.subarray(0, 12_000)),
        http2Frame(FRAME.continuation, END_HEADERS, 1, long.subarray(12_000)),
      ]),
    );
    expect(await answered).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    socket.destroy();
    many.destroy();
    expect(server.credentials.seen).toHaveLength(0);
    await expectServing(server, before);
  });

  test("no more than 4 streams and 16 KiB of headers are announced", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const session = http2To(server);
    await once(session, "remoteSettings");
    expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 4, maxHeaderListSize: 16_384 });
    session.destroy();
    await expectServing(server, before);
  });

  test("streams that are opened and reset without end end their connection", async () => {
    await using server = await startListener();
    const before = process.memoryUsage().rss;
    const socket = await openHttp2(server.listener.address.port, authority.certPem);
    const ended = closed(socket);
    const block = headerBlock(RAW_HEADERS);
    const cancelCode = Buffer.from([0, 0, 0, 8]);
    for (let streamId = 1; streamId < 8_000; streamId += 2) {
      socket.write(
        Buffer.concat([
          http2Frame(FRAME.headers, END_HEADERS, streamId, block),
          http2Frame(FRAME.reset, 0, streamId, cancelCode),
        ]),
      );
    }
    await ended;
    await eventually(() => server.listener.counts.connections === 0);
    await expectServing(server, before);
  });
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

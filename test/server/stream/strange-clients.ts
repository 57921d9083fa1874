/** Clients that are no agents, and what the listener answers them. */
import { once, type EventEmitter } from "node:events";
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { status as Status } from "@grpc/grpc-js";
import { expect } from "vitest";
import { authority, credentialOf, expectClean, HOST, type TestListener } from "./test-listener.ts";

/** Where agents open their streams. */
export const CONNECT_PATH = "/rollcall.v1.AgentService/Connect";
/** *Units*: bytes. */
export const MEBIBYTE = 1_048_576;

/** The server still serves, and has not grown. */
export async function expectServing(server: TestListener, before: number): Promise<void> {
  using agent = server.agent();
  const { stream } = await agent.hello();
  stream.halfClose();
  expect((await stream.ended).code).toBe(Status.OK);
  expect(process.memoryUsage().rss - before).toBeLessThan(60 * MEBIBYTE);
  await expectClean(server);
}

/** A bare TCP connection to the listener. */
export async function tcpTo(server: TestListener): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port: server.listener.address.port });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Resolves when it is closed, with or without an error. */
export function closed(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => emitter.once("close", () => resolve()));
}

/** An HTTP/2 connection by Node's own client. */
export function http2To(server: TestListener): ClientHttp2Session {
  const session = connectHttp2(`https://localhost:${server.listener.address.port}`, {
    ca: authority.certPem,
    lookup: (_name, options, done) =>
      options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
  });
  session.on("error", () => {});
  return session;
}

const GRPC_HEADERS: OutgoingHttpHeaders = {
  ":method": "POST",
  ":path": CONNECT_PATH,
  "content-type": "application/grpc",
  te: "trailers",
  authorization: `Bearer ${credentialOf(HOST)}`,
};

/** How a stream ended. */
export interface Answer {
  readonly httpStatus: number | undefined;
  readonly grpcStatus: number | undefined;
  readonly resetCode: number;
}

/** Sends `body` on a stream of its own and reports how that ended. */
export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Buffer = Buffer.alloc(0),
): Promise<Answer> {
  return await answerOf(session.request({ ...GRPC_HEADERS, ...headers }), body);
}

async function answerOf(stream: ClientHttp2Stream, body: Buffer): Promise<Answer> {
  let seen: IncomingHttpHeaders & { readonly ":status"?: number } = {};
  stream.on("error", () => {});
  stream.on("response", (headers) => (seen = { ...seen, ...headers }));
  stream.on("trailers", (headers: IncomingHttpHeaders) => (seen = { ...seen, ...headers }));
  // The server is done; the call ends with its status whatever we still had to say.
  stream.on("end", () => stream.close());
  stream.resume();
  stream.write(body);
  await closed(stream);
  const grpcStatus = seen["grpc-status"];
  return {
    httpStatus: seen[":status"],
    grpcStatus: grpcStatus === undefined ? undefined : Number(grpcStatus),
    resetCode: stream.rstCode,
  };
}

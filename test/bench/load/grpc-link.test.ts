import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AgentMessageSchema, ServerMessageSchema, type ServerMessage } from "../../../gen/rollcall/v1/agent_pb.js";
import { RefusedError } from "../../../server/domain/errors.ts";
import { validHello } from "../../support/scripted-agent.ts";
import { authority, credentialOf, expectClean, HOST, JOB, startListener } from "../../server/stream/test-listener.ts";
import type { AgentLink, LinkEnd } from "./agent-link.ts";
import { openGrpcLink } from "./grpc-link.ts";

const HELLO = toBinary(
  AgentMessageSchema,
  create(AgentMessageSchema, { message: { case: "hello", value: validHello() } }),
);

/** A link that said Hello, and what it hears. */
function dial(port: number): {
  readonly link: AgentLink;
  readonly next: () => Promise<ServerMessage>;
  readonly end: Promise<LinkEnd>;
} {
  const heard: Buffer[] = [];
  let wake: () => void = () => undefined;
  const { promise: end, resolve: ended } = Promise.withResolvers<LinkEnd>();
  const target = { wire: "grpc", host: "127.0.0.1", port, caPem: authority.certPem } as const;
  const link = openGrpcLink(
    { ...target, localAddress: "127.1.2.3", credential: credentialOf(HOST) },
    {
      message: (bytes) => {
        heard.push(bytes);
        wake();
      },
      ended,
    },
  );
  link.send(HELLO);
  return {
    link,
    end,
    next: async () => {
      for (;;) {
        const bytes = heard.shift();
        if (bytes !== undefined) return fromBinary(ServerMessageSchema, bytes);
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

test("a link is welcomed by the real listener, from an address of its own, and hears what is sent to its host", async () => {
  await using server = await startListener();
  const { link, next, end } = dial(server.listener.address.port);
  expect((await next()).message.case).toBe("welcome");
  expect(server.sessions.openings[0]?.session.peer).toMatch(/^127\.1\.2\.3:/);
  // More than one frame of HTTP/2 holds.
  const long = create(ServerMessageSchema, { message: { case: "cancelUpdate", value: { jobId: "x".repeat(40_000) } } });
  server.listener.sessions.send(HOST, long);
  expect(await next()).toEqual(long);
  link.destroy();
  expect((await end).cause).toBe("closed");
  await server.sessions.until(() => server.sessions.closings.length === 1);
  await expectClean(server);
});

test("a link that is refused knows why, and how long it is asked to wait", async () => {
  await using server = await startListener();
  server.sessions.onOpened = () => Promise.reject(new RefusedError("draining", "come back later", {}, 4_321));
  const { link, end } = dial(server.listener.address.port);
  expect(await end).toEqual({ cause: "UNAVAILABLE", isTurnedAway: false, askedMs: 4_321 });
  link.destroy();
  await expectClean(server);
});

test("another call on the same connection is answered, or told why not", async () => {
  await using server = await startListener();
  const { link, next } = dial(server.listener.address.port);
  await next();
  await expect(
    link.request("/rollcall.v1.AgentService/FetchManifest", Buffer.of(10, 36, ...Buffer.from(JOB))),
  ).rejects.toThrow("FAILED_PRECONDITION");
  link.destroy();
  await server.sessions.until(() => server.sessions.closings.length === 1);
  await expectClean(server);
});

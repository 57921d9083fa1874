import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { Metadata, status as Status, type ServerInterceptingCallInterface, type ServiceError } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { grpcMethod } from "../../../gen/grpc.ts";
import { AgentService } from "../../../gen/rollcall/v1/agent_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { minimum_role, Role } from "../../../gen/rollcall/v1/options_pb.js";
import { authenticateCalls, requiredRoles } from "../../../server/stream/authenticate.ts";
import { Callers } from "../../../server/stream/callers.ts";
import { ConnectionGate } from "../../../server/stream/connection-gate.ts";
import { DEFAULT_LIMITS } from "../../../server/stream/limits.ts";
import { toCallEnd } from "../../support/scripted-agent.ts";
import { ManualClock } from "./manual-clock.ts";
import { openResources } from "./open-resources.ts";
import {
  authority,
  credentialOf,
  eventually,
  expectClean,
  FakeCredentials,
  FakeLog,
  HOST,
  JOB,
  startListener,
  type TestListener,
} from "./test-listener.ts";

async function dial(server: TestListener): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: server.listener.address.port });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Dials, and resolves when the server has ended that. */
async function refused(server: TestListener): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port: server.listener.address.port });
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

describe("a credential", () => {
  test("that is unknown, revoked, malformed or missing gets one answer, before any message", async () => {
    await using server = await startListener();
    const ends = [];
    for (const credential of ["unknown", "revoked-1", "with space", "x".repeat(600), undefined]) {
      using agent = server.agent(HOST, { credential });
      ends.push(await agent.connect().ended);
    }
    for (const end of ends) {
      expect(end.code).toBe(Status.UNAUTHENTICATED);
      expect(end.details).toBe(ends[0]?.details);
      expect(end.refusal).toEqual(ends[0]?.refusal);
    }
    expect(ends[0]?.refusal).toMatchObject({ reason: Refusal_Reason.CREDENTIAL_INVALID, details: {} });
    expect(server.credentials.seen).toEqual(["unknown", "revoked-1"]);
    expect(server.sessions.openings).toHaveLength(0);
    await expectClean(server);
  });

  test("that is refused is refused after the same time, whatever took how long", async () => {
    await using server = await startListener({ refusalDelayMs: 100 });
    for (const credential of ["unknown", undefined]) {
      using agent = server.agent(HOST, { credential });
      const stream = agent.connect();
      await server.clock.scheduled(100);
      server.clock.advance(100);
      expect((await stream.ended).code).toBe(Status.UNAUTHENTICATED);
    }
    await expectClean(server);
  });

  test("is asked for by each method but Enroll", async () => {
    await using server = await startListener();
    using agent = server.agent(HOST, { credential: "unknown" });
    const failure = await agent.fetchManifest(JOB).catch((error: ServiceError) => error);
    expect(toCallEnd(failure as ServiceError).code).toBe(Status.UNAUTHENTICATED);
    const blocks = agent.fetchBlocks(JOB, [{ first: 0, count: 1 }]);
    const [error] = (await once(blocks, "error")) as [ServiceError];
    expect(error.code).toBe(Status.UNAUTHENTICATED);
    expect(await agent.enroll({ token: "good", hostname: "h", os: "linux", arch: "x64" })).toMatchObject({
      hostId: HOST,
    });
    await expectClean(server);
  });
});

describe("Enroll", () => {
  test("gives a credential that works", async () => {
    await using server = await startListener();
    using agent = server.agent(HOST, { credential: undefined });
    const { credential } = await agent.enroll({ token: "good", hostname: "h", os: "linux", arch: "x64" });
    expect(server.listener.counts).toMatchObject({ connections: 1, unauthenticated: 0 });
    agent.credential = credential;
    expect((await agent.hello()).welcome.sessionEpoch).toBe(1n);
    await expectClean(server);
  });

  test("refuses a token that is used and a request that breaks a rule", async () => {
    await using server = await startListener();
    using agent = server.agent(HOST, { credential: undefined });
    const used = await agent
      .enroll({ token: "used", hostname: "h", os: "linux", arch: "x64" })
      .catch((error: ServiceError) => toCallEnd(error));
    expect(used).toMatchObject({ code: Status.UNAUTHENTICATED, refusal: { reason: Refusal_Reason.TOKEN_INVALID } });
    const wrong = await agent
      .enroll({ token: "good", hostname: "<h>", os: "linux", arch: "x64" })
      .catch((error: ServiceError) => toCallEnd(error));
    expect(wrong).toMatchObject({ code: Status.INVALID_ARGUMENT, invalidField: { field: "hostname" } });
    expect(server.enrollment.requests).toHaveLength(1);
    await expectClean(server);
  });
});

describe("roles", () => {
  test("are declared by every method of AgentService", () => {
    for (const method of AgentService.methods) expect(hasOption(method, minimum_role), method.name).toBe(true);
    expect(getOption(AgentService.method.connect, minimum_role)).toBe(Role.HOST);
    expect(requiredRoles([AgentService]).size).toBe(AgentService.methods.length);
  });

  test("that are missing or not a host's refuse the call to all", async () => {
    const gate = new ConnectionGate(DEFAULT_LIMITS, new ManualClock());
    gate.find = () => ({ peer: "a:1", trust: () => {}, destroy: () => {} });
    const refuse = authenticateCalls({
      services: [{ ...AgentService, methods: [] }],
      credentials: new FakeCredentials(),
      callers: new Callers(),
      gate,
      clock: new ManualClock(),
      log: new FakeLog(),
      refusalDelayMs: 0,
    });
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${credentialOf(HOST)}`);
    const status = await new Promise<{ readonly code?: Status | null }>((resolve) => {
      const call: Partial<ServerInterceptingCallInterface> = {
        getConnectionInfo: () => ({ remoteAddress: "a", remotePort: 1 }),
        start: (listener) => listener.onReceiveMetadata(metadata),
        sendStatus: resolve,
      };
      const handler = {
        onReceiveMetadata: () => resolve({ code: Status.OK }),
        onReceiveMessage: () => {},
        onReceiveHalfClose: () => {},
        onCancel: () => {},
      };
      refuse(grpcMethod(AgentService.method.connect), call as ServerInterceptingCallInterface).start(handler);
    });
    expect(status.code).toBe(Status.PERMISSION_DENIED);
  });
});

describe("connections without a credential", () => {
  test("end after 10 s, in TLS or after it", async () => {
    await using server = await startListener();
    const stalled = await dial(server);
    const idle = connectHttp2(`https://localhost:${server.listener.address.port}`, {
      ca: authority.certPem,
      lookup: (_name, options, done) =>
        options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
    });
    idle.on("error", () => {});
    await once(idle, "remoteSettings");
    await eventually(() => server.listener.counts.unauthenticated === 2);
    server.clock.advance(9_999);
    expect(server.listener.counts.connections).toBe(2);
    const closed = Promise.all([once(stalled.resume(), "close"), once(idle, "close")]);
    server.clock.advance(1);
    await closed;
    await expectClean(server);
  });

  test("are limited for each address, and let go once trusted", async () => {
    await using server = await startListener({ unauthenticatedPerAddress: 3 });
    const sockets = [await dial(server), await dial(server), await dial(server)];
    await eventually(() => server.listener.counts.unauthenticated === 3);
    await refused(server);
    expect(server.listener.counts).toMatchObject({ connections: 3, unauthenticated: 3, refusedConnections: 1 });
    sockets[0]?.destroy();
    await eventually(() => server.listener.counts.unauthenticated === 2);
    using agent = server.agent();
    await agent.hello();
    expect(server.listener.counts).toMatchObject({ connections: 3, unauthenticated: 2 });
    const another = await dial(server);
    await eventually(() => server.listener.counts.unauthenticated === 3);
    for (const socket of [...sockets, another]) socket.destroy();
    await eventually(() => server.listener.counts.unauthenticated === 0);
    server.clock.advance(10_000);
    expect(server.listener.sessions.size).toBe(1);
    await expectClean(server);
  });

  test("are limited in all", async () => {
    await using server = await startListener({ unauthenticatedInAll: 2 });
    const sockets = [await dial(server), await dial(server)];
    await eventually(() => server.listener.counts.unauthenticated === 2);
    await refused(server);
    expect(server.listener.counts.refusedConnections).toBe(1);
    for (const socket of sockets) socket.destroy();
    await expectClean(server);
  });

  test("give way to a newcomer once they had two seconds, the oldest first", async () => {
    for (const limits of [{ unauthenticatedPerAddress: 2 }, { unauthenticatedInAll: 2 }]) {
      await using server = await startListener(limits);
      const oldest = await dial(server);
      await eventually(() => server.listener.counts.unauthenticated === 1);
      server.clock.advance(1_000);
      const younger = await dial(server);
      await eventually(() => server.listener.counts.unauthenticated === 2);
      server.clock.advance(999);
      await refused(server);
      server.clock.advance(1);
      using agent = server.agent();
      const sentAway = new Promise<void>((resolve) => oldest.resume().once("close", () => resolve()));
      await agent.hello();
      await sentAway;
      expect(server.listener.counts).toMatchObject({ connections: 2, unauthenticated: 1, refusedConnections: 1 });
      expect(younger.destroyed).toBe(false);
      younger.destroy();
      await expectClean(server);
    }
  });

  test("of one host are limited once it has many", async () => {
    await using server = await startListener({ connectionsPerHost: 2 });
    const agents = [server.agent(), server.agent(), server.agent()];
    for (const agent of agents) await agent.hello();
    await eventually(() => server.listener.counts.connections === 2);
    expect(server.listener.sessions.get(HOST)?.epoch).toBe(3n);
    for (const agent of agents) agent[Symbol.dispose]();
    await expectClean(server);
  });
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

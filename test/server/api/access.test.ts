/**
 * Who may call what: every RPC of every service that a listener serves, as each kind
 * of caller. The expected outcome comes from the role that the proto declares, and the
 * services from what the running listeners say they serve.
 */
import { randomBytes } from "node:crypto";
import { create, getOption, hasOption, type DescMethod, type DescService } from "@bufbuild/protobuf";
import { MethodDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Client, credentials, Metadata, status as GrpcCode, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { grpcMethod } from "../../../gen/grpc.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { minimum_role, Role } from "../../../gen/rollcall/v1/options_pb.js";
import { authorize } from "../../../server/api/edge-interceptor.ts";
import { WEB_SERVICES } from "../../../server/api/web-handler.ts";
import type { UserId } from "../../../server/domain/ids.ts";
import type { UserRole } from "../../../server/domain/user.ts";
import { AGENT_SERVICES } from "../../../server/stream/listener.ts";
import { addApiToken, addSession, addUser } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { openResources } from "../stream/open-resources.ts";

type Headers = Readonly<Record<string, string>>;

let plane: ControlPlane;
let web: Transport;
const users = new Map<UserRole | "disabled", UserId>();
beforeAll(async () => {
  plane = await startControlPlane();
  for (const role of ["viewer", "operator", "admin"] as const)
    users.set(role, await addUser(plane.database, `the-${role}`, role));
  users.set("disabled", await addUser(plane.database, "the-disabled", "admin"));
  web = createConnectTransport({ baseUrl: plane.web, httpVersion: "2" });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

/** A kind of caller: what it may do, and the headers that a fresh one sends. */
interface Identity {
  readonly name: string;
  /** `undefined` for a credential that is refused whatever is asked. */
  readonly role: Role | undefined;
  readonly headers: () => Promise<Headers>;
}

const bearer = async (role: UserRole, lifeMs?: number): Promise<Headers> => ({
  authorization: `Bearer ${(await addApiToken(plane.database, role, lifeMs === undefined ? {} : { lifeMs })).secret}`,
});

async function sessionOf(user: UserRole | "disabled"): Promise<Headers> {
  const userId = users.get(user);
  if (userId === undefined) throw new Error("no such user");
  const { secret } = await addSession(plane.database, userId);
  return { cookie: `rollcall_session=${secret}`, origin: plane.web };
}

async function revokedToken(): Promise<Headers> {
  const { id, secret } = await addApiToken(plane.database, "admin");
  await plane.database.db.updateTable("api_tokens").set({ revoked_at: new Date() }).where("id", "=", id).execute();
  return { authorization: `Bearer ${secret}` };
}

async function disabledSession(): Promise<Headers> {
  const headers = await sessionOf("disabled");
  const db = plane.database.db;
  await db.updateTable("users").set({ disabled_at: new Date() }).where("username", "=", "the-disabled").execute();
  return headers;
}

async function disabledCreator(): Promise<Headers> {
  const creatorId = users.get("disabled");
  if (creatorId === undefined) throw new Error("no such user");
  const db = plane.database.db;
  await db.updateTable("users").set({ disabled_at: new Date() }).where("id", "=", creatorId).execute();
  return { authorization: `Bearer ${(await addApiToken(plane.database, "admin", { creatorId })).secret}` };
}

const IDENTITIES: readonly Identity[] = [
  { name: "anonymous", role: Role.ANYONE, headers: async () => ({}) },
  { name: "a viewer's token", role: Role.VIEWER, headers: () => bearer("viewer") },
  { name: "an operator's token", role: Role.OPERATOR, headers: () => bearer("operator") },
  { name: "an admin's token", role: Role.ADMIN, headers: () => bearer("admin") },
  {
    name: "the file's token",
    role: Role.ADMIN,
    headers: async () => ({ authorization: `Bearer ${plane.adminToken}` }),
  },
  { name: "a viewer's session", role: Role.VIEWER, headers: () => sessionOf("viewer") },
  { name: "an operator's session", role: Role.OPERATOR, headers: () => sessionOf("operator") },
  { name: "an admin's session", role: Role.ADMIN, headers: () => sessionOf("admin") },
  { name: "an expired token", role: undefined, headers: () => bearer("admin", -1) },
  { name: "a revoked token", role: undefined, headers: revokedToken },
  { name: "a token of a disabled user", role: undefined, headers: disabledCreator },
  // Its cookie is nobody's, so that its browser can still sign in as somebody else.
  { name: "a disabled user's session", role: Role.ANYONE, headers: disabledSession },
  {
    name: "a token that never was",
    role: undefined,
    headers: async () => ({ authorization: `Bearer rc_api_${randomBytes(32).toString("base64url")}` }),
  },
];

/** Calls with an empty request and tells how it was received. Reads one message of a stream. */
async function outcomeOf(method: DescMethod, headers: Headers): Promise<"let in" | "unauthenticated" | "denied"> {
  const leaving = new AbortController();
  try {
    if (method.methodKind === "unary") {
      await web.unary(method as never, leaving.signal, 10_000, headers, create(method.input) as never);
    } else {
      const requests = async function* () {
        yield create(method.input);
      };
      const answer = await web.stream(method as never, leaving.signal, 10_000, headers, requests() as never);
      await answer.message[Symbol.asyncIterator]().next();
    }
    return "let in";
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    // The words of the edge: a handler has others.
    if (code === Code.Unauthenticated && /^(Sign in|The token is not valid)/.test(rawMessage)) return "unauthenticated";
    if (code === Code.PermissionDenied && /needs the role|not served here/.test(rawMessage)) return "denied";
    const isRequestsFault = [Code.InvalidArgument, Code.NotFound, Code.FailedPrecondition].includes(code);
    if (isRequestsFault) return "let in";
    throw error;
  } finally {
    leaving.abort();
  }
}

function expected(method: DescMethod, identity: Identity): "let in" | "unauthenticated" | "denied" {
  if (identity.role === undefined) return "unauthenticated";
  const role = getOption(method, minimum_role);
  if (role === Role.UNSPECIFIED || role === Role.HOST) return "denied";
  if (identity.role >= role) return "let in";
  return identity.role === Role.ANYONE ? "unauthenticated" : "denied";
}

async function servedBy(transport: Transport): Promise<readonly string[]> {
  const requests = async function* () {
    yield create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
  };
  const method = ServerReflection.method.serverReflectionInfo;
  const answer = await transport.stream(method, undefined, 10_000, {}, requests());
  for await (const { messageResponse } of answer.message)
    if (messageResponse.case === "listServicesResponse") return messageResponse.value.service.map(({ name }) => name);
  throw new Error("no list of services");
}

describe("the web listener", () => {
  test("serves the services that these tests cover, and no other", async () => {
    const names = WEB_SERVICES.map(({ typeName }) => typeName);
    expect([...(await servedBy(web))].toSorted()).toEqual(names.toSorted());
    expect(names).toContain("rollcall.v1.FleetService");
    expect(names).toContain("rollcall.v1.AccountService");
  });

  const methods = WEB_SERVICES.flatMap((service) => service.methods);

  test.each(methods.map((method) => [`${method.parent.name}.${method.name}`, method] as const))(
    "%s declares its role, and whether it changes anything",
    (_name, method) => {
      expect(hasOption(method, minimum_role)).toBe(true);
      expect([Role.ANYONE, Role.VIEWER, Role.OPERATOR, Role.ADMIN]).toContain(getOption(method, minimum_role));
      const readsOnly = /^(Get|List|Watch|Check|ServerReflection)/.test(method.name) && method.name !== "GetSetup";
      expect(method.idempotency === 1).toBe(readsOnly);
    },
  );

  test.each(methods.map((method) => [`${method.parent.name}.${method.name}`, method] as const))(
    "%s lets in whom its role says, and nobody else",
    async (_name, method) => {
      const outcomes: Record<string, string> = {};
      for (const identity of IDENTITIES) outcomes[identity.name] = await outcomeOf(method, await identity.headers());
      expect(outcomes).toEqual(
        Object.fromEntries(IDENTITIES.map((identity) => [identity.name, expected(method, identity)])),
      );
    },
  );

  test("refuses a method without a declared role to everybody", () => {
    const undeclared = { ...FleetService.method.listHosts, proto: create(MethodDescriptorProtoSchema) };
    expect(hasOption(undeclared, minimum_role)).toBe(false);
    for (const role of [Role.ANYONE, Role.VIEWER, Role.OPERATOR, Role.ADMIN])
      expect(() => authorize(undeclared, { kind: "file_token", role })).toThrow(/not served here/);
  });
});

describe("the agent listener", () => {
  let client: Client;
  beforeAll(() => {
    client = new Client(plane.agents, credentials.createSsl(Buffer.from(plane.caPem)));
  });
  afterAll(() => client.close());

  /** *Shape*: the code that a call with an empty request ends with, or 0 for its first answer. */
  const call = (method: DescMethod, metadata: Metadata): Promise<number> =>
    new Promise((resolve) => {
      const definition = grpcMethod(method as never) as never as ReturnType<typeof grpcMethod>;
      const { path, requestSerialize, responseDeserialize } = definition;
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      const done = (code: number): void => {
        resolve(code);
        stream.cancel();
      };
      stream.on("data", () => done(0));
      stream.on("end", () => done(0));
      stream.on("error", (error: ServiceError) => done(error.code));
      stream.write(create(method.input) as never);
      stream.end();
    });

  const methods = AGENT_SERVICES.flatMap((service: DescService) => service.methods);

  test.each(methods.map((method) => [`${method.parent.name}.${method.name}`, method] as const))(
    "%s is open to anybody by its role, or closed to all but hosts",
    async (_name, method) => {
      const role = getOption(method, minimum_role);
      expect([Role.ANYONE, Role.HOST]).toContain(role);
      for (const { name, headers } of IDENTITIES) {
        const metadata = new Metadata();
        const { authorization } = await headers();
        if (authorization !== undefined) metadata.set("authorization", authorization);
        const code = await call(method, metadata);
        if (role === Role.HOST) expect(code, name).toBe(GrpcCode.UNAUTHENTICATED);
        else expect([0, GrpcCode.INVALID_ARGUMENT, GrpcCode.NOT_FOUND], name).toContain(code);
      }
    },
  );

  test("says by reflection which services it serves: those that these tests cover", async () => {
    const { path, requestSerialize, responseDeserialize } = grpcMethod(ServerReflection.method.serverReflectionInfo);
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    stream.write(create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } }));
    stream.end();
    const names: string[] = [];
    for await (const answer of stream as AsyncIterable<unknown>) {
      const { messageResponse } = create(ServerReflectionResponseSchema, answer as never);
      if (messageResponse.case === "listServicesResponse")
        names.push(...messageResponse.value.service.map(({ name }) => name));
    }
    expect(names.toSorted()).toEqual(AGENT_SERVICES.map(({ typeName }) => typeName).toSorted());
  });
});

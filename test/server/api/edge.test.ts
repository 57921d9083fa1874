import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentService } from "../../../gen/rollcall/v1/agent_pb.js";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { InvalidFieldSchema } from "../../../gen/rollcall/v1/model_pb.js";
import { minimum_role, Role } from "../../../gen/rollcall/v1/options_pb.js";
import { authorize } from "../../../server/api/edge-interceptor.ts";
import { createFleetClient, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf } from "../../support/refusal-of.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

const METHODS = [...FleetService.methods, ...AgentService.methods];

async function post(
  path: string,
  options: { readonly body?: string; readonly headers?: Record<string, string>; readonly method?: string } = {},
) {
  const response = await fetch(plane.web + path, {
    method: options.method ?? "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${plane.adminToken}`, ...options.headers },
    ...(options.method === "GET" ? {} : { body: options.body ?? "{}" }),
  });
  return { status: response.status, text: await response.text() };
}

describe("every RPC", () => {
  test.each(METHODS.map((method) => [method.name, method] as const))(
    "%s declares a role and whether it changes anything",
    (_name, method) => {
      expect(hasOption(method, minimum_role) && getOption(method, minimum_role)).not.toBe(Role.UNSPECIFIED);
      expect(hasOption(method, minimum_role)).toBe(true);
    },
  );

  test.each(FleetService.methods.map((method) => [method.name, method.methodKind !== "unary"] as const))(
    "%s is refused without a token and with a wrong one",
    async (name, isStream) => {
      const path = `/rollcall.v1.FleetService/${name}`;
      const streaming: Record<string, string> = isStream ? { "content-type": "application/connect+json" } : {};
      const envelope = isStream ? "\u0000\u0000\u0000\u0000\u0002{}" : "{}";
      for (const authorization of ["", "Bearer rc_api_wrong", `Basic ${plane.adminToken}`]) {
        const answer = await post(path, { headers: { authorization, ...streaming }, body: envelope });
        expect(answer.text).toContain("unauthenticated");
      }
    },
  );

  test("of the agent is not served on the web listener", async () => {
    for (const method of AgentService.methods)
      expect((await post(`/rollcall.v1.AgentService/${method.name}`)).status).toBe(404);
  });

  test("for hosts is refused to an admin too", () => {
    expect(() => authorize(AgentService.method.fetchBlocks, { kind: "file_token", role: Role.ADMIN })).toThrow(
      ConnectError,
    );
  });
});

describe("a bad request", () => {
  test.each([
    ["hostId", "is required", () => plane.fleet.updateHost({})],
    ["hostId", "must hold a lower-case UUID only", () => plane.fleet.updateHost({ hostId: "x" })],
    [
      "hostId",
      "must hold a lower-case UUID only",
      () => plane.fleet.getHost({ hostId: "00000000-0000-4000-8000-00000000000A" }),
    ],
    ["pageSize", "must be at most 1000", () => plane.fleet.listHosts({ pageSize: 1001 })],
    ["pageToken", "is not a token from a former answer", () => plane.fleet.listHosts({ pageToken: "abc" })],
    [
      "pageToken",
      "is not a token from a former answer",
      () => plane.fleet.listJobs({ pageToken: Buffer.from('["x","y"]').toString("base64url") }),
    ],
    [
      "label",
      "must hold one line without control characters only",
      () => plane.fleet.createEnrollmentToken({ label: "a\nb" }),
    ],
    [
      "label",
      "must hold one line without control characters only",
      () => plane.fleet.createEnrollmentToken({ label: "a\u0000b" }),
    ],
    [
      "label",
      "may have at most 100 characters, not 101",
      () => plane.fleet.createEnrollmentToken({ label: "x".repeat(101) }),
    ],
    [
      "validForSeconds",
      "must be at most 2592000",
      () => plane.fleet.createEnrollmentToken({ validForSeconds: 4_000_000 }),
    ],
  ])("names %s: it %s", async (field, problem, call) => {
    const error = await failureOf(call());
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field, problem });
  });

  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/grpc-web-text",
  ])("of type %s is refused", async (contentType) => {
    const answer = await post("/rollcall.v1.FleetService/UpdateHost", { headers: { "content-type": contentType } });
    expect(answer.status).toBe(415);
  });

  test("that would change something by GET is refused", async () => {
    expect(
      (await post("/rollcall.v1.FleetService/UpdateHost?message=%7B%7D&encoding=json&connect=v1", { method: "GET" }))
        .status,
    ).toBe(405);
  });

  test("under a foreign name is refused", async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const headers = {
        host: "evil.example",
        "content-type": "application/json",
        authorization: `Bearer ${plane.adminToken}`,
      };
      httpRequest(`${plane.web}/rollcall.v1.FleetService/ListHosts`, { method: "POST", headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on("error", reject)
        .end("{}");
    });
    expect(status).toBe(421);
  });
});

describe("one port speaks", () => {
  const options = () => ({
    baseUrl: plane.web,
    interceptors: [
      (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
        request.header.set("authorization", `Bearer ${plane.adminToken}`);
        return next(request as never);
      },
    ] as never,
  });

  test.each([
    ["Connect over HTTP/1.1", () => createConnectTransport({ ...options(), httpVersion: "1.1" })],
    ["Connect over HTTP/2", () => createConnectTransport({ ...options(), httpVersion: "2" })],
    ["gRPC-web", () => createGrpcWebTransport({ ...options(), httpVersion: "1.1" })],
    ["gRPC", () => createGrpcTransport(options())],
  ])("%s", async (_name, transport) => {
    const answer = await createClient(FleetService, transport()).listHosts({});
    expect(answer.counts).toBeDefined();
  });

  test("gRPC with a client that nobody here wrote", async () => {
    const { stdout } = await promisify(execFile)(
      join(repositoryRoot, "node_modules", ".bin", "buf"),
      ["curl", "--schema", join(repositoryRoot, "proto"), "--protocol", "grpc", "--http2-prior-knowledge"].concat([
        "-H",
        `authorization: Bearer ${plane.adminToken}`,
        "-d",
        "{}",
        `${plane.web}/rollcall.v1.FleetService/ListHosts`,
      ]),
      { cwd: repositoryRoot },
    );
    expect(JSON.parse(stdout)).toMatchObject({ counts: {} });
  });
});

describe("lists", () => {
  test("of hosts come in pages by hostname, each host once", async () => {
    for (const hostname of ["page-c", "page-a", "page-b", "page-a"]) await plane.enrollAgent(hostname);
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await plane.fleet.listHosts({ pageSize: 2, pageToken });
      expect(page.hosts.length).toBeLessThanOrEqual(2);
      expect(page.counts?.total).toBe(4);
      names.push(...page.hosts.map((host) => host.hostname));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toEqual(["page-a", "page-a", "page-b", "page-c"]);
  });
});

describe("WatchFleet", () => {
  test("goes on where a lost stream ended", async () => {
    const first = new AbortController();
    let resumeToken = "";
    for await (const message of plane.fleet.watchFleet({}, { signal: first.signal })) {
      resumeToken = message.resumeToken;
      if (message.change.case === "caughtUp") break;
    }
    first.abort();
    const agent = await plane.enrollAgent("meanwhile");
    const cases: (string | undefined)[] = [];
    for await (const message of plane.fleet.watchFleet({ resumeToken })) {
      cases.push(message.change.case);
      if (message.change.case === "host" && message.change.value.id === agent.hostId) break;
    }
    expect(cases).not.toContain("snapshot");
  });

  test("starts over for a token of another server", async () => {
    for await (const message of plane.fleet.watchFleet({ resumeToken: `${randomUUID()}.7` })) {
      expect(message.change.case).toBe("snapshot");
      break;
    }
  });

  test("needs a token that is valid", async () => {
    const stranger = createFleetClient(plane.web, "rc_api_nobody");
    await expect(stranger.watchFleet({})[Symbol.asyncIterator]().next()).rejects.toThrow(/not valid/);
  });
});

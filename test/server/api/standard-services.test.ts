/** gRPC's own services, asked by a client that nobody here wrote, and by hand. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as AlphaReflection } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { AccountService } from "../../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { ServiceReflection } from "../../../server/wire/reflect-services.ts";
import { ServingStatus } from "../../../server/wire/serving-status.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";
import { openResources } from "../stream/open-resources.ts";

let plane: ControlPlane;
let caPath: string;
beforeAll(async () => {
  plane = await startControlPlane();
  caPath = join(plane.dataDir, "test-ca.pem");
  await writeFile(caPath, plane.caPem);
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

async function bufCurl(...words: readonly string[]): Promise<string> {
  const buf = join(repositoryRoot, "node_modules", ".bin", "buf");
  // Outside of the project it knows no proto file but what reflection tells it.
  const { stdout } = await promisify(execFile)(buf, ["curl", "--protocol", "grpc", ...words], { cwd: "/" });
  return stdout;
}

describe("a stock client without our proto files", () => {
  test.each([
    ["v1", "grpc-v1"],
    ["v1alpha", "grpc-v1alpha"],
  ])("calls the web listener by reflection %s", async (_version, protocol) => {
    const answer = await bufCurl(
      "--http2-prior-knowledge",
      `--reflect-protocol=${protocol}`,
      `--header=authorization: Bearer ${plane.adminToken}`,
      "--data={}",
      `${plane.web}/rollcall.v1.FleetService/ListHosts`,
    );
    expect(JSON.parse(answer)).toMatchObject({ counts: {} });
  });

  test("sees what the agent listener serves, and that it is healthy", async () => {
    const base = ["--cacert", caPath];
    const services = await bufCurl(...base, "--list-services", `https://${plane.agents}`);
    expect(services.trim().split("\n")).toContain("rollcall.v1.AgentService");
    const answer = await bufCurl(...base, "-d", "{}", `https://${plane.agents}/grpc.health.v1.Health/Check`);
    expect(JSON.parse(answer)).toEqual({ status: "SERVING" });
  });
});

describe("health", () => {
  const health = () => createClient(Health, createGrpcTransport({ baseUrl: plane.web }));

  test("tells of the server and of each service, to anybody", async () => {
    for (const service of ["", "rollcall.v1.FleetService", "grpc.health.v1.Health"])
      expect(await health().check({ service })).toMatchObject({ status: Status.SERVING });
    const unknown = await health()
      .check({ service: "nobody.Service" })
      .catch((error: unknown) => ConnectError.from(error).code);
    expect(unknown).toBe(Code.NotFound);
  });

  test("is one of GET too, for those who can do no more", async () => {
    const query = `message=${encodeURIComponent("{}")}&encoding=json&connect=v1`;
    const response = await fetch(`${plane.web}/grpc.health.v1.Health/Check?${query}`);
    expect(await response.json()).toEqual({ status: "SERVING" });
  });

  test("of a service that nobody knows is watched as such", async () => {
    const leaving = new AbortController();
    for await (const { status } of health().watch({ service: "nobody.Service" }, { signal: leaving.signal })) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
    leaving.abort();
  });

  test("tells its watchers when the server begins to stop, and lets them go", async () => {
    const serving = new ServingStatus([FleetService]);
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const status of serving.watch("", new AbortController().signal)) seen.push(status);
    })();
    await vi.waitFor(() => expect(serving.watchers).toBe(1));
    serving.stop();
    await watching;
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
    expect(serving.watchers).toBe(0);
  });

  test("has a hundred watchers at most, and forgets those that left", async () => {
    const serving = new ServingStatus([FleetService]);
    const leaving = new AbortController();
    const watches = Array.from({ length: 100 }, () => serving.watch("", leaving.signal));
    for (const watch of watches) await watch.next();
    expect(serving.isFull).toBe(true);
    leaving.abort();
    for (const watch of watches) expect(await watch.next()).toMatchObject({ done: true });
    expect(serving.watchers).toBe(0);
  });
});

describe.each([
  ["v1", ServerReflection.method.serverReflectionInfo],
  ["v1alpha", AlphaReflection.method.serverReflectionInfo],
] as const)("reflection %s", (_version, method) => {
  test("answers each question in order, and an unknown name without ending", async () => {
    const questions = [
      { case: "fileByFilename", value: "rollcall/v1/fleet.proto" },
      { case: "fileContainingSymbol", value: "rollcall.v1.FleetService.ListHosts" },
      { case: "fileContainingSymbol", value: "rollcall.v1.Nobody" },
      { case: "fileContainingSymbol", value: "rollcall.v1.Host.hostname" },
      {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.MethodOptions", extensionNumber: 50701 },
      },
      { case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" },
      { case: "listServices", value: "" },
      { case: undefined },
    ] as const;
    const transport = createConnectTransport({ baseUrl: plane.web, httpVersion: "2" });
    const streaming = method as unknown as DescMethodStreaming<DescMessage, DescMessage>;
    const requests = (async function* () {
      for (const messageRequest of questions)
        yield create(streaming.input, { messageRequest } as MessageInitShape<DescMessage>);
    })();
    const answer = await transport.stream(streaming, undefined, 10_000, {}, requests);
    const cases: (string | undefined)[] = [];
    for await (const message of answer.message as AsyncIterable<
      MessageShape<typeof ServerReflection.method.serverReflectionInfo.output>
    >)
      cases.push(message.messageResponse.case);
    expect(cases).toEqual([
      "fileDescriptorResponse",
      "fileDescriptorResponse",
      "errorResponse",
      "fileDescriptorResponse",
      "fileDescriptorResponse",
      "allExtensionNumbersResponse",
      "listServicesResponse",
      "errorResponse",
    ]);
  });
});

test("reflection sends a file and all that it needs, each once", () => {
  const { case: kind, value } = new ServiceReflection([AccountService]).answer({
    case: "fileContainingSymbol",
    value: "rollcall.v1.AccountService",
  });
  expect(kind).toBe("fileDescriptorResponse");
  // account.proto, options.proto, descriptor.proto, timestamp.proto
  expect((value as { readonly fileDescriptorProto: readonly unknown[] }).fileDescriptorProto).toHaveLength(4);
});

/** Requests whose bytes are no message, in each protocol that the web listener speaks. */
import { gzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status as GrpcCode, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { AccountService } from "../../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { NotificationService } from "../../../gen/rollcall/v1/notification_pb.js";
import type { ControlPlane } from "../../support/control-plane.ts";
import { startQuietPlane } from "../../support/quiet-plane.ts";
import { callRaw } from "../../support/raw-call.ts";
import { digestTables } from "../../support/table-digests.ts";
import { openResources } from "../stream/open-resources.ts";

const METHODS = [...FleetService.methods, ...AccountService.methods, ...NotificationService.methods].map(
  (method) => [method.name, method] as const,
);
const TEN_MEGABYTES = Buffer.alloc(10_000_000, "x");
/** A label of bytes that are not UTF-8. */
const NOT_UTF8 = Buffer.from([0x0a, 2, 0xc3, 0x28]);
const LABELLED: DescMethod = FleetService.method.createEnrollmentToken;
const PATH = `/${FleetService.typeName}/${LABELLED.name}`;

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startQuietPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

/** Runs `work`, after which every table holds what it held before. */
async function changingNothing<Result>(work: () => Promise<Result>): Promise<Result> {
  const before = await digestTables(plane.database);
  const result = await work();
  expect(await digestTables(plane.database)).toEqual(before);
  return result;
}

async function post(body: Buffer | ReadableStream, headers: Readonly<Record<string, string>>) {
  const response = await fetch(plane.web + PATH, {
    method: "POST",
    headers: { authorization: `Bearer ${plane.adminToken}`, ...headers },
    body,
    duplex: "half",
  } as RequestInit);
  return { status: response.status, text: Buffer.from(await response.arrayBuffer()).toString("latin1") };
}

describe("ten megabytes", () => {
  test.each(METHODS)("are more than %s takes, and change nothing", async (_name, method) => {
    const answer = await changingNothing(() => callRaw(plane, method, "json", TEN_MEGABYTES));
    expect(answer.code).toBe("resource_exhausted");
    expect(answer.message).toContain("1048576");
  });

  test("in binary are refused as well", async () => {
    const answer = await changingNothing(() => callRaw(plane, LABELLED, "proto", TEN_MEGABYTES));
    expect(answer.code).toBe("resource_exhausted");
  });

  test("of a body whose length nobody told are refused as well", async () => {
    const body = new Blob([TEN_MEGABYTES]).stream();
    const { text } = await changingNothing(() => post(body, { "content-type": "application/json" }));
    expect(text).toContain("resource_exhausted");
  });

  test("that were packed into few bytes are refused as well", async () => {
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const { text } = await changingNothing(() => post(gzipSync(TEN_MEGABYTES), headers));
    expect(text).toContain("resource_exhausted");
  });

  test("leave the server as able as before", async () => {
    expect((await plane.fleet.listHosts({})).hosts).toHaveLength(2);
  });
});

describe("a body that is no message", () => {
  test.each(METHODS)("is refused by %s in plain words, and changes nothing", async (_name, method) => {
    const before = await digestTables(plane.database);
    for (const text of ["", "[]", "null", "7", "{}}", '{"a":', "\u0000"]) {
      const answer = await callRaw(plane, method, "json", Buffer.from(text));
      expect({ text, ...answer }).toMatchObject({ text, code: "invalid_argument" });
      expect(answer.message).toMatch(/^The request (is not JSON|must be an object)\.$/);
    }
    // A tag of field 0, the end of a group that never began, a tag that is cut off.
    for (const bytes of [[0x00], [0x0c], [0xff]]) {
      const answer = await callRaw(plane, method, "proto", Buffer.from(bytes));
      expect({ bytes, ...answer }).toMatchObject({ bytes, code: "invalid_argument" });
      expect(answer.message).toMatch(/cut off or garbled|another type/);
    }
    expect(await digestTables(plane.database)).toEqual(before);
  });

  test("is named by its field when it came compressed", async () => {
    const headers = { "content-type": "application/proto", "content-encoding": "gzip" };
    const { status, text } = await changingNothing(() => post(gzipSync(NOT_UTF8), headers));
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({
      code: "invalid_argument",
      message: "label: holds bytes that are not UTF-8",
    });
  });

  test("in a compression that nobody knows is refused", async () => {
    const headers = { "content-type": "application/proto", "content-encoding": "rot13" };
    const { text } = await changingNothing(() => post(NOT_UTF8, headers));
    expect(JSON.parse(text)).toMatchObject({ code: "unimplemented" });
  });

  test("is named by its field over gRPC-web", async () => {
    const body = Buffer.concat([Buffer.from([0, 0, 0, 0, NOT_UTF8.length]), NOT_UTF8]);
    const { text } = await changingNothing(() => post(body, { "content-type": "application/grpc-web+proto" }));
    expect(text).toContain(`grpc-status: ${GrpcCode.INVALID_ARGUMENT}`);
    expect(decodeURIComponent(text)).toContain("label: holds bytes that are not UTF-8");
  });

  test("is named by its field over gRPC", async () => {
    const client = new Client(new URL(plane.web).host, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${plane.adminToken}`);
    const same = (bytes: Buffer) => bytes;
    try {
      const error = await changingNothing(
        () =>
          new Promise<ServiceError | null>((resolve) => {
            client.makeUnaryRequest(PATH, same, same, NOT_UTF8, metadata, (failure) => resolve(failure));
          }),
      );
      expect(error).toMatchObject({
        code: GrpcCode.INVALID_ARGUMENT,
        details: expect.stringContaining("label") as string,
      });
    } finally {
      client.close();
    }
  });
});

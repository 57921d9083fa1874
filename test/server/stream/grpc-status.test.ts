import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { InvalidFieldSchema, Refusal_Reason, RefusalSchema } from "../../../gen/rollcall/v1/model_pb.js";
import { InvalidFieldError, RefusedError, UnavailableError } from "../../../server/domain/errors.ts";
import { toGrpcStatus } from "../../../server/stream/grpc-status.ts";
import { StreamEndedError } from "../../../server/stream/stream-ended-error.ts";
import { openResources } from "./open-resources.ts";
import { FakeLog } from "./test-listener.ts";

describe("a failure as a status", () => {
  test("carries its detail as google.rpc.Status, for clients that know nothing of ours", () => {
    const log = new FakeLog();
    const refused = new RefusedError("draining", "going down", { host_id: "h" }, 1_500);
    const { code, details, metadata } = toGrpcStatus(refused, "Connect", log);
    const reader = new BinaryReader(metadata.get("grpc-status-details-bin")[0] as Buffer);
    const fields = new Map<number, unknown>();
    while (reader.pos < reader.len) {
      const [field] = reader.tag();
      if (field === 1) fields.set(field, reader.int32());
      else fields.set(field, field === 2 ? reader.string() : reader.bytes());
    }
    expect(fields.get(1)).toBe(code);
    expect(fields.get(2)).toBe(details);
    const any = fromBinary(AnySchema, fields.get(3) as Uint8Array);
    expect(any.typeUrl).toBe("type.googleapis.com/rollcall.v1.Refusal");
    const expected = { reason: Refusal_Reason.DRAINING, details: { host_id: "h" }, retryAfterMs: 1_500 };
    expect(anyUnpack(any, RefusalSchema)).toMatchObject(expected);
    expect(fromBinary(RefusalSchema, metadata.get("rollcall-refusal-bin")[0] as Buffer)).toMatchObject(expected);
    expect(log.entries).toHaveLength(0);
  });

  test("names an invalid field", () => {
    const { code, details, metadata } = toGrpcStatus(
      new InvalidFieldError("ranges[0].first", "is wrong"),
      "x",
      new FakeLog(),
    );
    expect({ code, details }).toEqual({ code: Status.INVALID_ARGUMENT, details: "ranges[0].first: is wrong" });
    const detail = fromBinary(InvalidFieldSchema, metadata.get("rollcall-invalid-field-bin")[0] as Buffer);
    expect(detail).toMatchObject({ field: "ranges[0].first", problem: "is wrong" });
  });

  test("that was foreseen keeps its words, and one that was not is logged instead", () => {
    const log = new FakeLog();
    expect(toGrpcStatus(new UnavailableError("the database is away"), "x", log)).toMatchObject({
      code: Status.UNAVAILABLE,
    });
    expect(toGrpcStatus(new StreamEndedError("aborted", "replaced"), "x", log)).toMatchObject({
      code: Status.ABORTED,
      details: "replaced",
    });
    expect(log.entries).toHaveLength(0);
    const failure = new TypeError("at /srv/secret");
    expect(toGrpcStatus(failure, "x", log)).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
    expect(log.entries).toEqual([{ where: "x", error: failure }]);
  });
});

afterAll(() => {
  expect(openResources()).toEqual([]);
});

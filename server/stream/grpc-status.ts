/**
 * Failures as gRPC statuses. Details travel twice: as messages of our own under
 * keys of our own, and as `google.rpc.Status`, which stock gRPC clients know.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata } from "@grpc/grpc-js";
import { encodeMessage } from "../../gen/grpc.ts";
import { InvalidFieldSchema, RefusalSchema } from "../../gen/rollcall/v1/model_pb.js";
import { InvalidFieldError, RefusedError, UnavailableError } from "../domain/errors.ts";
import { toInvalidField, toRefusal } from "../wire/refusal-words.ts";
import { STATUS, statusOf } from "../wire/status-codes.ts";
import type { StreamLog } from "./ports.ts";
import { StreamEndedError } from "./stream-ended-error.ts";

/** Trailer with a serialized `rollcall.v1.Refusal`. */
const REFUSAL_KEY = "rollcall-refusal-bin";
/** Trailer with a serialized `rollcall.v1.InvalidField`. */
const INVALID_FIELD_KEY = "rollcall-invalid-field-bin";
const STATUS_DETAILS_KEY = "grpc-status-details-bin";

/** What a call ends with. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The status that tells a caller of `error`. A refusal is counted; what nobody foresaw is logged and told without its words. */
export function toGrpcStatus(error: unknown, where: string, log: StreamLog): GrpcStatus {
  if (error instanceof RefusedError) {
    log.refused(error.reason);
    return withDetail(statusOf(error), error.message, REFUSAL_KEY, RefusalSchema, toRefusal(error));
  }
  if (error instanceof InvalidFieldError) {
    return withDetail(statusOf(error), error.message, INVALID_FIELD_KEY, InvalidFieldSchema, toInvalidField(error));
  }
  if (error instanceof UnavailableError)
    return { code: statusOf(error), details: error.message, metadata: new Metadata() };
  if (error instanceof StreamEndedError)
    return { code: STATUS[error.status], details: error.message, metadata: new Metadata() };
  log.unexpected(where, error);
  return { code: STATUS.internal, details: "internal error", metadata: new Metadata() };
}

function withDetail<D extends DescMessage>(
  code: number,
  sentence: string,
  key: string,
  schema: D,
  detail: MessageShape<D>,
): GrpcStatus {
  const metadata = new Metadata();
  metadata.set(key, encodeMessage(schema, detail));
  metadata.set(
    STATUS_DETAILS_KEY,
    Buffer.from(encodeRpcStatus(code, sentence, encodeMessage(AnySchema, anyPack(schema, detail)))),
  );
  return { code, details: sentence, metadata };
}

/** *Source*: google/rpc/status.proto: `int32 code = 1; string message = 2; repeated Any details = 3`. */
function encodeRpcStatus(code: number, sentence: string, detail: Uint8Array): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int32(code);
  writer.tag(2, WireType.LengthDelimited).string(sentence);
  writer.tag(3, WireType.LengthDelimited).bytes(detail);
  return writer.finish();
}

/**
 * Reads every request before Connect does, so that one that can't be read is refused
 * with the name of the field that is wrong. Connect itself takes bytes that are not
 * UTF-8 in JSON for text, passes over words of an enum that it does not know, and
 * calls a broken binary message a failure of the server.
 *
 * It stands in the body's own stream: what it throws there Connect answers in the
 * caller's protocol.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  assertByteStreamRequest,
  compressedFlag,
  pipe,
  readAllBytes,
  transformJoinEnvelopes,
  transformSplitEnvelope,
  type Compression,
  type EnvelopedMessage,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { InvalidFieldSchema } from "../../gen/rollcall/v1/model_pb.js";
import { findUnreadableBinary } from "./unreadable-binary.ts";
import { findUnreadableJson } from "./unreadable-json.ts";

/** How requests may come. */
export interface BodyLimits {
  /** Of one message. *Units*: bytes. */
  readonly readMaxBytes: number;
  readonly compressions: readonly Compression[];
}

/** How the bytes of one request are to be understood. */
interface BodyFormat {
  readonly isJson: boolean;
  /** Messages with a head each: gRPC, gRPC-web and streams. */
  readonly isEnveloped: boolean;
  /** The header that names the compression. */
  readonly encodingHeader: string;
}

/** Puts the check before every handler that the router has so far. */
export function checkBodies(router: ConnectRouter, limits: BodyLimits): void {
  for (const [index, handler] of router.handlers.entries()) {
    const { input } = handler.method;
    const checked = (request: UniversalServerRequest) => handler(withCheckedBody(request, input, limits));
    router.handlers[index] = Object.assign(checked, handler);
  }
}

function withCheckedBody(
  request: UniversalServerRequest,
  schema: DescMessage,
  limits: BodyLimits,
): UniversalServerRequest {
  const format = formatOf(request.header.get("content-type") ?? "");
  if (format === undefined || request.method !== "POST") return request;
  assertByteStreamRequest(request);
  const encoding = request.header.get(format.encodingHeader) ?? "identity";
  const check = createCheck(schema, format, encoding, limits);
  const body = format.isEnveloped
    ? pipe(request.body, transformSplitEnvelope(limits.readMaxBytes), eachChecked(check), transformJoinEnvelopes())
    : checkedWhole(request.body, request.header.get("content-length"), limits, (bytes) =>
        check(bytes, encoding !== "identity"),
      );
  return { ...request, body };
}

function formatOf(contentType: string): BodyFormat | undefined {
  const unary = /^application\/(json|proto)\s*(?:;|$)/i.exec(contentType);
  if (unary !== null) return { isJson: isJson(unary[1]), isEnveloped: false, encodingHeader: "content-encoding" };
  const enveloped = /^application\/(grpc|grpc-web|connect)(?:\+(json|proto))?\s*(?:;|$)/i.exec(contentType);
  if (enveloped === null) return undefined;
  const encodingHeader = enveloped[1]?.toLowerCase() === "connect" ? "connect-content-encoding" : "grpc-encoding";
  return { isJson: isJson(enveloped[2]), isEnveloped: true, encodingHeader };
}

function isJson(codec: string | undefined): boolean {
  return codec?.toLowerCase() === "json";
}

type Check = (bytes: Uint8Array, isCompressed: boolean) => Promise<void>;

/** *Throws* ConnectError for a message that can't be read. One in an unknown compression is left to Connect. */
function createCheck(schema: DescMessage, format: BodyFormat, encoding: string, limits: BodyLimits): Check {
  const compression = limits.compressions.find(({ name }) => name === encoding);
  const find = format.isJson ? findUnreadableJson : findUnreadableBinary;
  return async (bytes, isCompressed) => {
    if (isCompressed && compression === undefined) return;
    const plain =
      isCompressed && compression !== undefined ? await compression.decompress(bytes, limits.readMaxBytes) : bytes;
    const violation = find(schema, plain);
    if (violation === undefined) return;
    const { field, problem } = violation;
    throw new ConnectError(
      field === "" ? `The request ${problem}.` : `${field}: ${problem}`,
      Code.InvalidArgument,
      undefined,
      field === "" ? [] : [{ desc: InvalidFieldSchema, value: { field, problem } }],
    );
  };
}

function eachChecked(check: Check) {
  return async function* (envelopes: AsyncIterable<EnvelopedMessage>): AsyncIterable<EnvelopedMessage> {
    for await (const envelope of envelopes) {
      await check(envelope.data, (envelope.flags & compressedFlag) !== 0);
      yield envelope;
    }
  };
}

async function* checkedWhole(
  body: AsyncIterable<Uint8Array>,
  length: string | null,
  limits: BodyLimits,
  check: (bytes: Uint8Array) => Promise<void>,
): AsyncIterable<Uint8Array> {
  const bytes = await readAllBytes(body, limits.readMaxBytes, length);
  await check(bytes);
  yield bytes;
}

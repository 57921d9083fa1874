/** One call over Connect in bytes of the test's choice, which no client would send. */
import { fromBinary, type DescMethod } from "@bufbuild/protobuf";
import { InvalidFieldSchema } from "../../gen/rollcall/v1/model_pb.js";
import type { Codec } from "./bad-requests.ts";

/** How a call was answered; an empty code for success. */
export interface RawAnswer {
  readonly code: string;
  readonly message: string;
  /** What the `InvalidField` among the details names. */
  readonly field: string | undefined;
}

interface WireError {
  readonly code?: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

const HEAD_BYTES = 5;
const END_OF_STREAM = 2;

/** Sends one message, as the only one of a stream where the RPC takes or gives one. */
export async function callRaw(
  server: { readonly web: string; readonly adminToken: string },
  method: DescMethod,
  codec: Codec,
  message: Uint8Array,
): Promise<RawAnswer> {
  const isStream = method.methodKind !== "unary";
  const response = await fetch(`${server.web}/${method.parent.typeName}/${method.name}`, {
    method: "POST",
    headers: {
      "content-type": `application/${isStream ? "connect+" : ""}${codec}`,
      authorization: `Bearer ${server.adminToken}`,
    },
    body: Buffer.from(isStream ? envelope(message) : message),
  });
  const answer = Buffer.from(await response.arrayBuffer());
  if (isStream) return toAnswer((JSON.parse(endOf(answer)) as { readonly error?: WireError }).error ?? {});
  return toAnswer(response.ok ? {} : (JSON.parse(answer.toString()) as WireError));
}

function toAnswer({ code = "", message = "", details = [] }: WireError): RawAnswer {
  const detail = details.find(({ type }) => type === InvalidFieldSchema.typeName);
  const field = detail && fromBinary(InvalidFieldSchema, Buffer.from(detail.value, "base64")).field;
  return { code, message, field };
}

function envelope(message: Uint8Array): Uint8Array {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The last message of a stream's answer. */
function endOf(answer: Buffer): string {
  for (let at = 0; at < answer.length; at += HEAD_BYTES + answer.readUInt32BE(at + 1)) {
    if (answer[at] === END_OF_STREAM) return answer.subarray(at + HEAD_BYTES).toString();
  }
  throw new Error("the stream has no end");
}

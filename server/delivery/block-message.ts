import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FetchBlocksResponseSchema, type BlockEncoding } from "../../gen/rollcall/v1/agent_pb.js";
import type { BlockMessage } from "../stream/ports.ts";

const FIELD = FetchBlocksResponseSchema.field;

/** *Units*: bytes. The most that a message takes beside its block: three tags, three numbers of 32 bits. */
export const MESSAGE_OVERHEAD_BYTES = 3 + 3 * 5;

/**
 * Lays out the message of one block at the start of `memory`, with room for its
 * bytes, so that the file is read straight into it and nothing is copied on the
 * way to the stream. `memory` has room for MESSAGE_OVERHEAD_BYTES beside the block.
 */
export function layOutBlockMessage(
  memory: Buffer,
  index: number,
  encoding: BlockEncoding,
  dataLength: number,
): BlockMessage {
  const writer = new BinaryWriter();
  writer.tag(FIELD.index.number, WireType.Varint).uint32(index);
  writer.tag(FIELD.encoding.number, WireType.Varint).int32(encoding);
  writer.tag(FIELD.data.number, WireType.LengthDelimited).uint32(dataLength);
  const prefix = writer.finish();
  const message = memory.subarray(0, prefix.length + dataLength);
  message.set(prefix);
  return { message, data: message.subarray(prefix.length) };
}

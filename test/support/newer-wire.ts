/** Messages as a build that knows more would send them: with fields and kinds that this one does not. */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Field numbers that no message here has. */
const UNKNOWN = { text: 900, number: 901, message: 902 } as const;

/** A message in its wire form, followed by a text, a number and a message in fields that are not known. */
export function withUnknownFields<D extends DescMessage>(schema: D, message: MessageInitShape<D>): Uint8Array {
  const writer = new BinaryWriter().raw(toBinary(schema, create(schema, message)));
  writer.tag(UNKNOWN.text, WireType.LengthDelimited).string("said by somebody newer");
  writer.tag(UNKNOWN.number, WireType.Varint).uint64(2n ** 60n);
  writer.tag(UNKNOWN.message, WireType.LengthDelimited).bytes(unknownKind());
  return writer.finish();
}

/** A message whose only field, such as the case of a oneof, is this one. */
export function onlyField(field: { readonly number: number }, content: Uint8Array): Buffer {
  return Buffer.from(new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(content).finish());
}

/** A message of a kind that is not known: a oneof of it has no case. */
export function unknownKind(): Buffer {
  return onlyField({ number: 15 }, new BinaryWriter().tag(1, WireType.Varint).uint32(7).finish());
}

/**
 * Finds the field because of which a binary request can't be read. Connect's own reader
 * does not look whether a record's type is its field's, and cuts numbers that are too
 * large down to ones that are not.
 *
 * *Source*: protobuf.dev, "Encoding".
 */
import { fromBinary, ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { isUtf8 } from "node:buffer";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Violation } from "../../gen/rules.ts";

const GARBLED = "is cut off or garbled";
const MAX_UINT32 = 0xffff_ffffn;

/** *Shape*: `undefined` for a request that can be read; an empty field when no single one is to blame. */
export function findUnreadableBinary(schema: DescMessage, bytes: Uint8Array): Violation | undefined {
  const violation = checkMessage(schema, bytes, "");
  if (violation !== undefined) return violation;
  try {
    fromBinary(schema, bytes);
    return undefined;
  } catch {
    return { field: "", problem: GARBLED };
  }
}

/** Goes from record to record. `prefix` is the path of the message with a dot, or empty for the request itself. */
function checkMessage(schema: DescMessage, bytes: Uint8Array, prefix: string): Violation | undefined {
  const reader = new BinaryReader(bytes);
  const seen = new Map<DescField, number>();
  while (reader.pos < reader.len) {
    let path = prefix.slice(0, -1);
    try {
      const [number, wireType] = reader.tag();
      const field = schema.fields.find((one) => one.number === number);
      if (field === undefined) {
        // Of a newer client: as good as absent.
        reader.skip(wireType, number);
        continue;
      }
      const index = seen.get(field) ?? 0;
      seen.set(field, index + 1);
      path = `${prefix}${field.jsonName}${field.fieldKind === "list" ? `[${index}]` : ""}`;
      const violation = checkValue(field, wireType, reader, path);
      if (violation !== undefined) return violation;
    } catch {
      return { field: path, problem: GARBLED };
    }
  }
  return undefined;
}

/** Reads one value. *Throws* Error for one that is cut off. */
function checkValue(field: DescField, wireType: WireType, reader: BinaryReader, path: string): Violation | undefined {
  const expected = wireTypeOf(field);
  if (wireType !== expected) {
    // Several numbers in one record; the decoder itself checks them.
    const isPacked = field.fieldKind === "list" && wireType === WireType.LengthDelimited;
    if (!isPacked) return { field: path, problem: "is of another type" };
  } else if (field.message !== undefined) {
    return checkMessage(field.message, reader.bytes(), `${path}.`);
  } else if (scalarOf(field) === ScalarType.STRING) {
    const text = reader.bytes();
    return isUtf8(text) ? undefined : { field: path, problem: "holds bytes that are not UTF-8" };
  } else if (scalarOf(field) === ScalarType.UINT32) {
    const isInRange = BigInt(reader.uint64()) <= MAX_UINT32;
    return isInRange ? undefined : { field: path, problem: `must be a whole number from 0 to ${MAX_UINT32}` };
  }
  reader.skip(wireType, field.number);
  return undefined;
}

function scalarOf(field: DescField): ScalarType | undefined {
  return "scalar" in field ? field.scalar : undefined;
}

function wireTypeOf(field: DescField): WireType {
  switch (scalarOf(field)) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    case undefined:
      return field.enum === undefined ? WireType.LengthDelimited : WireType.Varint;
    default:
      return WireType.Varint;
  }
}

/**
 * Bad requests by kind, made from the descriptors and from the rules that stand in the
 * proto: an RPC or a field that is added is covered by being there. Each is a request
 * that every rule accepts, but for one field.
 */
import { fromJson, ScalarType, toBinary, type DescMessage, type JsonObject } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Text } from "../../gen/rollcall/v1/options_pb.js";
import { listFields, requestWith, validRequest, type RequestField } from "./request-fields.ts";

/** The two ways in which a message is written. */
export type Codec = "json" | "proto";

/** A message, and the field that an answer must name. */
export interface BadRequest {
  readonly what: string;
  readonly field: string;
  readonly message: Uint8Array;
}

/** A kind of badness. *Shape*: none for a request that can't be bad in this way. */
export type BadKind = (schema: DescMessage, codec: Codec) => readonly BadRequest[];

/** What is wrong with requests, by the words in which a test says so. */
export const BAD_KINDS = {
  "lacks a field that is required": ofEachField((target, write) =>
    target.rule?.required === true ? [write("nothing", undefined)] : [],
  ),
  "holds a number that is out of bounds, or none": ofEachField((target, write, codec) => {
    if (!isNumber(target)) return [];
    const max = target.rule?.max;
    const tooMuch = max === undefined ? [] : [Number(max) + 1, 2 ** 31].filter((value) => value > max);
    const cases = tooMuch.map((value) => write(`${value}`, value));
    if (codec === "json")
      return [...cases, ...[-1, 2 ** 64, 1e99, 1.5, "x", ""].map((value) => write(`${value}`, value))];
    return scalarOf(target) !== ScalarType.UINT32
      ? cases
      : [
          ...cases,
          ...["-1", "4294967296"].map((value) => writeRecord(target, value, WireType.Varint, (to) => to.int64(value))),
        ];
  }),
  "holds a value of an enum that there is none of": ofEachField((target, write, codec) => {
    if (target.field.enum === undefined) return [];
    const numbers = [77, -1].map((value) => write(`${value}`, value));
    if (codec === "proto") return numbers;
    return [...numbers, ...["NO_SUCH_WORD", "", 1.5].map((value) => write(`${value}`, value))];
  }),
  "holds text that may not be": ofEachField((target, write) => {
    if (!isText(target)) return [];
    const { rule } = target;
    const texts = ["a\u0000", BAD_TEXTS[rule?.text ?? Text.UNSPECIFIED]];
    if (rule !== undefined && rule.maxLength > 0 && target.field.fieldKind !== "list")
      texts.push("0".repeat(rule.maxLength + 1));
    const inPlace = (text: string) => (target.field.fieldKind === "list" ? [text] : text);
    return texts.map((text) => write(JSON.stringify(text.slice(0, 40)), inPlace(text), firstItem(target)));
  }),
  "holds more bytes or items than may be": ofEachField((target, write) => {
    const most = target.rule?.maxLength ?? 0;
    if (most === 0) return [];
    if (target.field.fieldKind === "list") return [write("items", Array(most + 1).fill(itemOf(target)))];
    return isBytes(target) ? [write("bytes", Buffer.alloc(most + 1).toString("base64"))] : [];
  }),
  "holds a value of another type": ofEachField((target, write, codec) =>
    codec === "json"
      ? wrongTypes(target).map((value) => write(JSON.stringify(value), value))
      : [{ ...writeRecord(target, "eight bytes", WireType.Bit64, (to) => to.fixed64(7)), field: firstItem(target) }],
  ),
  "holds bytes that are not UTF-8": ofEachField((target, write, codec) => {
    if (!isText(target)) return [];
    if (codec === "proto") {
      const garbled = writeRecord(target, "bytes", WireType.LengthDelimited, (to) => to.bytes(NOT_UTF8));
      return [{ ...garbled, field: firstItem(target) }];
    }
    const marked = write("bytes", target.field.fieldKind === "list" ? ["MARK"] : "MARK", firstItem(target));
    const [before = "", after = ""] = Buffer.from(marked.message).toString().split("MARK");
    return [{ ...marked, message: Buffer.concat([Buffer.from(before), NOT_UTF8, Buffer.from(after)]) }];
  }),
  "is cut off within a field": ofEachField((target, _write, codec) => {
    if (codec === "json") return [];
    const isVarint = isNumber(target) || target.field.enum !== undefined || isBoolean(target);
    // A length that nothing follows; a number whose last byte says that more comes.
    return isVarint && target.field.fieldKind !== "list"
      ? [writeRecord(target, "a number", WireType.Varint, (to) => to.raw(Buffer.from([0x80])))]
      : [
          {
            ...writeRecord(target, "a length", WireType.LengthDelimited, (to) => to.uint32(20)),
            field: firstItem(target),
          },
        ];
  }),
  "holds a field that is not known": (schema, codec) =>
    codec === "proto" || schema.fields.length === 0
      ? []
      : [{ what: "noSuchField", field: "noSuchField", message: encodeJson({ noSuchField: true }) }],
} satisfies Readonly<Record<string, BadKind>>;

const ITEM = "00000000-0000-4000-8000-0000000000aa";

function itemOf({ field }: RequestField): unknown {
  return field.message === undefined ? ITEM : validRequest(field.message);
}

const NOT_UTF8 = Buffer.from([0xc3, 0x28, 0xff]);

const BAD_TEXTS: Readonly<Record<Text, string>> = {
  [Text.UNSPECIFIED]: "\u0000",
  [Text.HOSTNAME]: "a b",
  [Text.VERSION]: "1..2",
  [Text.ID]: "00000000-0000-4000-8000-0000000000AA",
  [Text.HEX]: "xy",
  [Text.WORD]: "A",
  [Text.SENTENCE]: "a\u202eb",
  [Text.TOKEN]: "a b",
};

type Write = (what: string, value: unknown, field?: string) => BadRequest;

function ofEachField(make: (target: RequestField, write: Write, codec: Codec) => readonly BadRequest[]): BadKind {
  return (schema, codec) =>
    listFields(schema).flatMap((target) => {
      const write: Write = (what, value, field = target.path) => {
        const json = requestWith(schema, target.steps, value);
        const message = codec === "json" ? encodeJson(json) : toBinary(schema, fromJson(schema, json));
        return { what: `${target.path}: ${what}`, field, message };
      };
      return make(target, write, codec);
    });
}

function encodeJson(json: JsonObject): Uint8Array {
  return Buffer.from(JSON.stringify(json));
}

/** A request that every rule accepts, and after it one more record of the field. */
function writeRecord(
  target: RequestField,
  what: string,
  wireType: WireType,
  value: (to: BinaryWriter) => BinaryWriter,
): BadRequest {
  const [outermost] = target.steps;
  if (outermost === undefined) throw new Error("name a field");
  const schema = outermost.parent;
  // The record is a list's first item, so nothing of the list comes before it.
  const list = target.steps.findIndex(({ fieldKind }) => fieldKind === "list");
  const without = list === -1 ? target.steps : target.steps.slice(0, list + 1);
  const before = toBinary(schema, fromJson(schema, requestWith(schema, without, undefined)));
  let record = value(new BinaryWriter().tag(target.field.number, wireType)).finish();
  for (const step of target.steps.slice(0, -1).toReversed())
    record = new BinaryWriter().tag(step.number, WireType.LengthDelimited).bytes(record).finish();
  return { what: `${target.path}: ${what}`, field: target.path, message: Buffer.concat([before, record]) };
}

/** The field itself, or the first item of a list. */
function firstItem({ field, path }: RequestField): string {
  return field.fieldKind === "list" ? `${path}[0]` : path;
}

function scalarOf({ field }: RequestField): ScalarType | undefined {
  return field.fieldKind === "scalar" || (field.fieldKind === "list" && field.listKind === "scalar")
    ? field.scalar
    : undefined;
}

function isText(target: RequestField): boolean {
  return scalarOf(target) === ScalarType.STRING;
}

function isBytes(target: RequestField): boolean {
  return scalarOf(target) === ScalarType.BYTES;
}

function isBoolean(target: RequestField): boolean {
  return scalarOf(target) === ScalarType.BOOL;
}

function isNumber(target: RequestField): boolean {
  const scalar = scalarOf(target);
  return scalar === ScalarType.UINT32 || scalar === ScalarType.UINT64;
}

function wrongTypes(target: RequestField): readonly unknown[] {
  if (target.field.fieldKind === "list") return ["x", 7, true, {}];
  if (target.field.fieldKind === "message") return ["x", 7, true, []];
  if (isText(target) || isBytes(target)) return [7, true, [], {}];
  if (isBoolean(target)) return ["yes", 1, [], {}];
  return [true, [], {}];
}

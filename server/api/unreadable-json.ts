/**
 * Finds the field because of which a JSON request can't be read. Connect's own
 * sentences name types where callers know fields, and by default it passes over
 * what it does not know: a misspelt value would then be as good as none.
 */
import {
  fromJson,
  ScalarType,
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
} from "@bufbuild/protobuf";
import type { Violation } from "../../gen/rules.ts";

const WELL_KNOWN = "google.protobuf.";
/** What may stand in a sentence of ours. */
const PLAIN_NAME = /^[\w.-]{1,64}$/;
const REPLACEMENT = "\ufffd";

/** *Shape*: `undefined` for a request that can be read; an empty field when no single one is to blame. */
export function findUnreadableJson(schema: DescMessage, bytes: Uint8Array): Violation | undefined {
  const text = decodeStrictly(bytes);
  const json = parse(text ?? new TextDecoder().decode(bytes));
  if (text === undefined) return { field: pathOfBrokenText(json) ?? "", problem: "holds bytes that are not UTF-8" };
  if (json === undefined) return { field: "", problem: "is not JSON" };
  return isReadable(schema, json) ? undefined : blame(schema, json, "");
}

function decodeStrictly(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function parse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function isReadable(schema: DescMessage, json: JsonValue): boolean {
  try {
    fromJson(schema, json, { ignoreUnknownFields: false });
    return true;
  } catch {
    return false;
  }
}

/** The first text in which a decoder that bears everything replaced something. */
function pathOfBrokenText(json: JsonValue | undefined, path = ""): string | undefined {
  if (typeof json === "string") return json.includes(REPLACEMENT) ? path : undefined;
  if (typeof json !== "object" || json === null) return undefined;
  for (const [key, value] of Object.entries(json)) {
    const step = Array.isArray(json) ? `${path}[${key}]` : `${path === "" ? "" : `${path}.`}${key}`;
    const found = pathOfBrokenText(value as JsonValue, step);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `prefix` is the path of the message with a dot, or empty for the request itself. */
function blame(schema: DescMessage, json: JsonValue, prefix: string): Violation {
  const field = prefix.slice(0, -1);
  if (schema.typeName.startsWith(WELL_KNOWN)) return { field, problem: "can't be read" };
  if (typeof json !== "object" || json === null || Array.isArray(json)) return { field, problem: "must be an object" };
  for (const [name, value] of Object.entries(json)) {
    if (isReadable(schema, { [name]: value })) continue;
    const known = schema.fields.find((one) => one.jsonName === name || one.name === name);
    if (known !== undefined) return blameField(known, value, prefix + known.jsonName);
    if (PLAIN_NAME.test(name)) return { field: prefix + name, problem: "is not known here" };
    return { field, problem: "has a field that is not known here" };
  }
  return { field, problem: "holds fields that exclude each other" };
}

function blameField(field: DescField, value: JsonValue, path: string): Violation {
  if (field.fieldKind === "message") return blame(field.message, value, `${path}.`);
  if (field.fieldKind === "map") return { field: path, problem: "can't be read" };
  if (field.fieldKind !== "list") return { field: path, problem: mustBe(field) };
  if (!Array.isArray(value)) return { field: path, problem: "must be a list" };
  const index = value.findIndex((item) => !isReadable(field.parent, { [field.jsonName]: [item] }));
  const item = value[index];
  if (item === undefined) return { field: path, problem: "can't be read" };
  if (field.listKind === "message") return blame(field.message, item, `${path}[${index}].`);
  return { field: `${path}[${index}]`, problem: mustBe(field) };
}

function mustBe(field: { readonly scalar?: ScalarType | undefined; readonly enum?: DescEnum | undefined }): string {
  if (field.enum !== undefined) return `must be one of ${field.enum.values.map(({ name }) => name).join(", ")}`;
  return (field.scalar !== undefined && SCALARS[field.scalar]) || "can't be read";
}

const SCALARS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: "must be text",
  [ScalarType.BYTES]: "must be text in base64",
  [ScalarType.BOOL]: "must be true or false",
  [ScalarType.UINT32]: "must be a whole number from 0 to 4294967295",
  [ScalarType.UINT64]: "must be a whole number from 0 to 18446744073709551615",
};

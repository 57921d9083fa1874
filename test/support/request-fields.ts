/** The fields of requests, as the descriptors tell them, and requests that every rule accepts. */
import {
  getOption,
  hasOption,
  ScalarType,
  type DescField,
  type DescMessage,
  type JsonObject,
} from "@bufbuild/protobuf";
import { rule as ruleOption, Text, type FieldRule } from "../../gen/rollcall/v1/options_pb.js";

/** An id that nothing has. */
export const NOBODY = "00000000-0000-4000-8000-0000000000aa";

/** A field of a request, or of a message within it. */
export interface RequestField {
  readonly field: DescField;
  /** From the request to the field, itself included. */
  readonly steps: readonly DescField[];
  /** As errors name it. */
  readonly path: string;
  readonly rule: FieldRule | undefined;
}

/** Every field of a request, depth first. */
export function listFields(schema: DescMessage, above: readonly DescField[] = []): readonly RequestField[] {
  return schema.fields.flatMap((field): readonly RequestField[] => {
    const steps = [...above, field];
    const path = pathOf(steps);
    const rule = hasOption(field, ruleOption) ? getOption(field, ruleOption) : undefined;
    const below = field.message !== undefined && field.fieldKind !== "map" ? listFields(field.message, steps) : [];
    return [{ field, steps, path, rule }, ...below];
  });
}

/** As errors name a field. What is in a list is in its first item. */
function pathOf(steps: readonly DescField[]): string {
  const names = steps.map(({ jsonName, fieldKind }, index) =>
    fieldKind === "list" && index < steps.length - 1 ? `${jsonName}[0]` : jsonName,
  );
  return names.join(".");
}

/** A request that every rule accepts, in which the field of `steps` holds `value`; `undefined` takes it away. */
export function requestWith(schema: DescMessage, steps: readonly DescField[], value: unknown): JsonObject {
  const [field, ...below] = steps;
  if (field === undefined) throw new Error("name a field");
  const request: Record<string, unknown> = { ...validRequest(schema, field.oneof === undefined ? undefined : field) };
  if (below.length > 0 && field.message !== undefined) {
    const within = requestWith(field.message, below, value);
    request[field.jsonName] = field.fieldKind === "list" ? [within] : within;
  } else if (value === undefined) {
    delete request[field.jsonName];
  } else {
    request[field.jsonName] = value;
  }
  return request as JsonObject;
}

/** What is required and no more; `chosen` is the member of a oneof that is set. */
export function validRequest(schema: DescMessage, chosen?: DescField): JsonObject {
  const request: JsonObject = {};
  for (const field of schema.fields) {
    if (field === chosen && field.message !== undefined) request[field.jsonName] = validRequest(field.message);
    const rule = hasOption(field, ruleOption) ? getOption(field, ruleOption) : undefined;
    if (rule?.required === true) request[field.jsonName] = validValue(field, rule);
  }
  return request;
}

function validValue(field: DescField, rule: FieldRule): string {
  if (field.enum !== undefined) return field.enum.values.at(-1)?.name ?? "";
  if (field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES) return "AAAA";
  return VALID_TEXTS[rule.text];
}

const VALID_TEXTS: Readonly<Record<Text, string>> = {
  [Text.UNSPECIFIED]: "correct horse battery",
  [Text.HOSTNAME]: "somebody",
  [Text.VERSION]: "7.7.7",
  [Text.ID]: NOBODY,
  [Text.HEX]: "00",
  [Text.WORD]: "word",
  [Text.SENTENCE]: "for a test",
  [Text.TOKEN]: "token",
};

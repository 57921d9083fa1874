/**
 * Checks messages against the `rule` options of their fields. The rules stand in
 * the proto beside what they govern; this file is their only reader.
 */
import { getOption, hasOption, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { rule as ruleOption, Text, type FieldRule } from "./rollcall/v1/options_pb.js";

/** A field that holds what it may not. */
export interface Violation {
  /** Path of the field as written in JSON, such as `ranges[3].count`. */
  readonly field: string;
  readonly problem: string;
}

const TEXTS: Readonly<Record<Text, { readonly pattern: RegExp; readonly words: string }>> = {
  // oxlint-disable-next-line no-control-regex -- NUL is what it looks for
  [Text.UNSPECIFIED]: { pattern: /^[^\u0000]*$/u, words: "text without NUL" },
  [Text.HOSTNAME]: { pattern: /^[A-Za-z0-9._-]*$/, words: "letters, digits, '.', '_' and '-'" },
  [Text.VERSION]: {
    pattern: /^(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z.+_-]*$/,
    words: "a version: letters, digits, '.', '+', '_' and '-', without '..'",
  },
  [Text.ID]: {
    pattern: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    words: "a lower-case UUID",
  },
  [Text.HEX]: { pattern: /^[0-9a-f]*$/, words: "lower-case hex" },
  [Text.WORD]: { pattern: /^[a-z0-9_.-]*$/, words: "lower-case letters, digits, '_', '.' and '-'" },
  [Text.SENTENCE]: {
    pattern: /^[^\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*$/u,
    words: "one line without control characters",
  },
  [Text.TOKEN]: { pattern: /^[\x21-\x7e]*$/, words: "printable ASCII without spaces" },
};

/**
 * Which values an enum may have: those that this build knows, or any, for what others
 * of a newer build may say as well.
 */
export type EnumValues = "known" | "any";

/**
 * The first field of `message`, in declaration order and depth first, that breaks its rule.
 *
 * *Shape*: `undefined` when every field holds.
 */
export function findViolation(
  schema: DescMessage,
  message: Message,
  enumValues: EnumValues = "known",
): Violation | undefined {
  return checkMessage(reflect(schema, message), "", enumValues);
}

function checkMessage(message: ReflectMessage, prefix: string, enumValues: EnumValues): Violation | undefined {
  for (const field of message.fields) {
    const violation = checkField(message, field, `${prefix}${field.jsonName}`, enumValues);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

function checkField(
  message: ReflectMessage,
  field: DescField,
  path: string,
  enumValues: EnumValues,
): Violation | undefined {
  const rule = hasOption(field, ruleOption) ? getOption(field, ruleOption) : undefined;
  if (!message.isSet(field))
    return rule?.required ? { field: path, problem: "is required" } : checkUnset(field, rule, path);
  if (field.fieldKind === "list") {
    const list = message.get(field);
    if (rule !== undefined && rule.maxLength > 0 && list.size > rule.maxLength)
      return tooLong(path, "items", list.size, rule);
    let index = 0;
    for (const item of list) {
      const violation = checkValue(field.listKind, item, { ...withoutLength(rule) }, `${path}[${index}]`, enumValues);
      if (violation !== undefined) return violation;
      index += 1;
    }
    return undefined;
  }
  if (field.fieldKind === "map") return undefined;
  return checkValue(field.fieldKind, message.get(field), rule, path, enumValues, field);
}

/** A number that is not set is 0, and 0 may be out of bounds. */
function checkUnset(field: DescField, rule: FieldRule | undefined, path: string): Violation | undefined {
  if (field.fieldKind !== "scalar" || field.oneof !== undefined) return undefined;
  if (rule?.min === undefined || rule.min <= 0n) return undefined;
  return { field: path, problem: `must be at least ${rule.min}` };
}

function checkValue(
  kind: "scalar" | "enum" | "message",
  value: unknown,
  rule: Partial<FieldRule> | undefined,
  path: string,
  enumValues: EnumValues,
  field?: DescField,
): Violation | undefined {
  if (kind === "message") return checkMessage(value as ReflectMessage, `${path}.`, enumValues);
  if (typeof value === "string") return checkText(value, rule, path);
  if (value instanceof Uint8Array) return checkBytes(value, rule, path);
  if (kind === "enum") return enumValues === "any" ? undefined : checkEnum(value as number, field, path);
  if (typeof value === "number" || typeof value === "bigint") return checkNumber(BigInt(value), rule, path);
  return undefined;
}

function checkText(value: string, rule: Partial<FieldRule> | undefined, path: string): Violation | undefined {
  if (rule?.maxLength !== undefined && rule.maxLength > 0 && value.length > rule.maxLength) {
    return tooLong(path, "characters", value.length, rule);
  }
  const text = TEXTS[rule?.text ?? Text.UNSPECIFIED];
  return text.pattern.test(value) ? undefined : { field: path, problem: `must hold ${text.words} only` };
}

function checkBytes(value: Uint8Array, rule: Partial<FieldRule> | undefined, path: string): Violation | undefined {
  if (rule?.exactLength !== undefined && rule.exactLength > 0 && value.length !== rule.exactLength) {
    return { field: path, problem: `must be ${rule.exactLength} bytes, not ${value.length}` };
  }
  if (rule?.maxLength !== undefined && rule.maxLength > 0 && value.length > rule.maxLength) {
    return tooLong(path, "bytes", value.length, rule);
  }
  return undefined;
}

function checkEnum(value: number, field: DescField | undefined, path: string): Violation | undefined {
  if (field?.fieldKind !== "enum" || field.enum.value[value] !== undefined) return undefined;
  return { field: path, problem: `has no value ${value}` };
}

function checkNumber(value: bigint, rule: Partial<FieldRule> | undefined, path: string): Violation | undefined {
  if (rule?.min !== undefined && value < rule.min) return { field: path, problem: `must be at least ${rule.min}` };
  if (rule?.max !== undefined && value > rule.max) return { field: path, problem: `must be at most ${rule.max}` };
  return undefined;
}

function tooLong(path: string, unit: string, length: number, rule: Partial<FieldRule>): Violation {
  return { field: path, problem: `may have at most ${rule.maxLength} ${unit}, not ${length}` };
}

/** The rule of a list's items: the list's own length limit does not apply to each of them. */
function withoutLength(rule: FieldRule | undefined): Partial<FieldRule> {
  return rule === undefined ? {} : { text: rule.text, min: rule.min, max: rule.max };
}

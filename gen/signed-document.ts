/**
 * The JSON form of a document that is signed: the same message always gives the
 * same bytes, and bytes are read strictly, so that no two readers of one signed
 * document see different things in it.
 */
import { fromJson, toJson, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { findViolation } from "./rules.ts";

/** A kind of document. */
export interface DocumentKind<Schema extends DescMessage> {
  readonly schema: Schema;
  /** What sentences call it, such as `manifest`. */
  readonly name: string;
  /** *Units*: bytes. A longer one is refused before it is parsed. */
  readonly maxBytes: number;
}

/** The bytes of a document. */
export function encodeDocument<Schema extends DescMessage>(
  kind: DocumentKind<Schema>,
  message: MessageShape<Schema>,
): Buffer {
  return Buffer.from(`${JSON.stringify(toJson(kind.schema, message, { alwaysEmitImplicit: true }), null, 2)}\n`);
}

/**
 * Parses a document: size, UTF-8, no key twice in one object, every field within its rule.
 *
 * *Throws* Error that names what is wrong.
 */
export function decodeDocument<Schema extends DescMessage>(
  kind: DocumentKind<Schema>,
  bytes: Uint8Array,
): MessageShape<Schema> {
  const { schema, name, maxBytes } = kind;
  if (bytes.length > maxBytes) throw new Error(`the ${name} has ${bytes.length} bytes, at most ${maxBytes} are read`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  const json = JSON.parse(text) as JsonValue;
  refuseRepeatedKeys(text, name);
  const message = fromJson(schema, json, { ignoreUnknownFields: true });
  const violation = findViolation(schema, message);
  if (violation !== undefined) throw new Error(`the ${name}'s ${violation.field} ${violation.problem}`);
  return message;
}

/**
 * JSON.parse keeps the last of two equal keys; another reader of the same signed
 * bytes may keep the first. `text` is known to be valid JSON here.
 */
function refuseRepeatedKeys(text: string, name: string): void {
  const scopes: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  for (let token = tokens.exec(text); token !== null; token = tokens.exec(text)) {
    const [word] = token;
    if (word === "{") scopes.push(new Set());
    else if (word === "[") scopes.push(undefined);
    else if (word === "}" || word === "]") scopes.pop();
    else if (/^\s*:/.test(text.slice(tokens.lastIndex, tokens.lastIndex + 64))) {
      const keys = scopes.at(-1);
      const key = JSON.parse(word) as string;
      if (keys?.has(key)) throw new Error(`the ${name} holds the key ${word} twice`);
      keys?.add(key);
    }
  }
}

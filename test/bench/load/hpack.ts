/**
 * Header blocks of HTTP/2 for a client that keeps no table: it writes every field as it
 * is, and reads the fields that a gRPC server names itself, such as `grpc-status`.
 * Fields of the static table (`:status`, `content-type`) are passed over.
 *
 * *Source*: RFC 7541, sections 5 and 6, and appendix B.
 */

/**
 * The characters of each code length, in the order of their codes. The code is canonical,
 * so lengths are all there is to know. Characters beyond ASCII are in no gRPC header.
 */
const CHARACTERS_BY_CODE_LENGTH: readonly (readonly [number, string])[] = [
  [5, "012aceiost"],
  [6, " %-./3456789=A_bdfghlmnpru"],
  [7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"],
  [8, "&*,;XZ"],
  [10, '!"()?'],
  [11, "'+|"],
  [12, "#>"],
  [13, "\0$@[]~"],
  [14, "^}"],
  [15, "<`{"],
  [19, "\\"],
];
const LONGEST_CODE = 19;
const CODES = huffmanCodes();

/** A block of literal fields. */
export function encodeHeaders(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), encodeString(name), encodeString(value)]));
}

/**
 * The fields of a block whose names are not of the static table.
 *
 * *Throws* Error when the block uses a table, which this client told the server not to.
 */
export function decodeHeaders(block: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  const reader = new BlockReader(block);
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if (first >= 0x80) reader.integer(7);
    else if (first >= 0x20 && first < 0x40) reader.integer(5);
    else {
      const nameIndex = reader.integer(first >= 0x40 ? 6 : 4);
      const name = nameIndex === 0 ? reader.string() : undefined;
      const value = reader.string();
      if (name !== undefined) fields.set(name, value);
    }
  }
  return fields;
}

class BlockReader {
  readonly #block: Buffer;
  #position = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#block.length;
  }

  peek(): number {
    return this.#block.readUInt8(this.#position);
  }

  integer(prefixBits: number): number {
    const greatest = 2 ** prefixBits - 1;
    let value = this.#byte() & greatest;
    if (value < greatest) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  string(): string {
    const isHuffman = this.peek() >= 0x80;
    const length = this.integer(7);
    const bytes = this.#block.subarray(this.#position, this.#position + length);
    this.#position += length;
    return isHuffman ? decodeHuffman(bytes) : bytes.toString("latin1");
  }

  #byte(): number {
    const byte = this.#block.readUInt8(this.#position);
    this.#position += 1;
    return byte;
  }
}

function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([encodeLength(bytes.length), bytes]);
}

function encodeLength(length: number): Buffer {
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return Buffer.from([...bytes, rest]);
}

function decodeHuffman(bytes: Buffer): string {
  let text = "";
  let [code, length] = [0, 0];
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      code = code * 2 + ((byte >> bit) & 1);
      length += 1;
      const character = CODES.get(length * 2 ** 20 + code);
      if (character !== undefined) {
        text += character;
        [code, length] = [0, 0];
      } else if (length > LONGEST_CODE) throw new Error("a header holds a character beyond ASCII");
    }
  }
  // What is left are ones that fill the last byte up.
  return text;
}

function huffmanCodes(): ReadonlyMap<number, string> {
  const codes = new Map<number, string>();
  let [next, previousLength] = [0, 0];
  for (const [length, characters] of CHARACTERS_BY_CODE_LENGTH) {
    next *= 2 ** (length - previousLength);
    previousLength = length;
    for (const character of characters) {
      codes.set(length * 2 ** 20 + next, character);
      next += 1;
    }
  }
  return codes;
}

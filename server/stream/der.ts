/**
 * The few ASN.1 types that an X.509 certificate needs, in their DER form.
 *
 * *Source*: ITU-T X.690; times by RFC 5280 section 4.1.2.5.
 */

/** One tagged value around the concatenation of `contents`. */
export function tagged(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), encodeLength(body.length), body]);
}

/** SEQUENCE of `items`. */
export function sequence(...items: readonly Uint8Array[]): Buffer {
  return tagged(0x30, ...items);
}

/** SET of one item; nothing here needs the ordering of more. */
export function setOfOne(item: Uint8Array): Buffer {
  return tagged(0x31, item);
}

/** A constructed `[number]` around `contents`. */
export function explicit(number: number, ...contents: readonly Uint8Array[]): Buffer {
  return tagged(0xa0 + number, ...contents);
}

/** A non-negative INTEGER, its magnitude given big-endian. */
export function unsignedInteger(magnitude: Uint8Array): Buffer {
  const firstSignificant = magnitude.findIndex((byte) => byte !== 0);
  const digits = firstSignificant === -1 ? Uint8Array.of(0) : magnitude.subarray(firstSignificant);
  const isNegativeLooking = ((digits[0] ?? 0) & 0x80) !== 0;
  return tagged(0x02, isNegativeLooking ? Uint8Array.of(0) : Uint8Array.of(), digits);
}

/** OBJECT IDENTIFIER from its dotted form. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** UTF8String. */
export function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text, "utf8"));
}

/** BOOLEAN TRUE. */
export function booleanTrue(): Buffer {
  return tagged(0x01, Uint8Array.of(0xff));
}

/** OCTET STRING. */
export function octetString(bytes: Uint8Array): Buffer {
  return tagged(0x04, bytes);
}

/** BIT STRING; `unusedBits` are at the end of the last byte. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tagged(0x03, Uint8Array.of(unusedBits), bytes);
}

/** UTCTime until 2049, GeneralizedTime after that, both to the second. */
export function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, "");
  return at.getUTCFullYear() < 2050 ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits));
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 + bytes.length, ...bytes]);
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 + (rest % 128));
  return bytes;
}

import { expect, test } from "vitest";
import { encodePublicKey } from "../../agent/release/secret-key.ts";
import {
  isSignedBy,
  MAX_SIGNATURE_BYTES,
  parsePublicKey,
  parsePublicKeys,
  parseSignature,
} from "../../gen/minisign.ts";
import { createTestKey, signBytes } from "../support/test-keys.ts";

const key = createTestKey("minisign");
const content = Buffer.from("what is signed");
const { signature } = signBytes(key, content, "the comment");
const lines = signature.toString().split("\n");

/** The signature file with one of its lines changed. */
function withLine(index: number, change: (line: string) => string): Buffer {
  return Buffer.from(lines.map((line, at) => (at === index ? change(line) : line)).join("\n"));
}

/** Changes one byte of a line in base64. */
function flipByte(at: number) {
  return (line: string): string => {
    const bytes = Buffer.from(line, "base64");
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes.toString("base64");
  };
}

test("a signature holds for its content, its key and its comment", () => {
  const parsed = parseSignature(signature);
  expect(parsed).toMatchObject({ keyId: key.publicKey.keyId, trustedComment: "the comment" });
  expect(isSignedBy(key.publicKey, content, parsed)).toBe(true);
  expect(isSignedBy(key.publicKey, Buffer.from("what is signeD"), parsed)).toBe(false);
});

test("line ends of Windows, and none at the end, change nothing", () => {
  for (const file of [lines.join("\r\n"), lines.join("\n").trimEnd()])
    expect(isSignedBy(key.publicKey, content, parseSignature(Buffer.from(file)))).toBe(true);
});

test.each([
  ["its trusted comment", withLine(2, (line) => `${line}.`)],
  ["the signature of its content", withLine(1, flipByte(20))],
  ["the signature of its comment", withLine(3, flipByte(20))],
  ["the id of its key", withLine(1, flipByte(2))],
])("a signature does not hold when somebody changed %s", (_, file) => {
  expect(isSignedBy(key.publicKey, content, parseSignature(file))).toBe(false);
});

test("an untrusted comment is just that", () => {
  const parsed = parseSignature(withLine(0, () => "untrusted comment: by the king himself"));
  expect(isSignedBy(key.publicKey, content, parsed)).toBe(true);
});

test("another key with the same id signs nothing for this one", () => {
  const twin = createTestKey("minisign: twin", Buffer.from(key.publicKey.text, "base64").subarray(2, 10));
  expect(twin.publicKey.keyId).toBe(key.publicKey.keyId);
  expect(isSignedBy(twin.publicKey, content, parseSignature(signature))).toBe(false);
});

test("a signature that is not prehashed is refused by that word", () => {
  const legacy = withLine(1, (line) => {
    const bytes = Buffer.from(line, "base64");
    bytes.write("Ed", "latin1");
    return bytes.toString("base64");
  });
  expect(() => parseSignature(legacy)).toThrow('only prehashed signatures are taken, not "Ed"');
});

test("every file that ends too early is refused", () => {
  for (let length = 0; length < signature.length - 1; length += 1)
    expect(() => parseSignature(signature.subarray(0, length)), `${length} bytes`).toThrow("no minisign signature");
});

test.each([
  ["base64 with a stray character", withLine(1, (line) => `${line} `)],
  ["base64 that another text gives too", withLine(3, (line) => line.replace("==", ""))],
  ["a comment that is not called trusted", withLine(2, (line) => line.replace("trusted", "nice"))],
])("%s is no signature", (_, file) => {
  expect(() => parseSignature(file)).toThrow("it is no minisign signature");
});

test("a signature of more bytes than are read is refused", () => {
  expect(() => parseSignature(Buffer.alloc(MAX_SIGNATURE_BYTES + 1))).toThrow("4097 bytes, at most 4096 are read");
});

test("a public key is read from its file, or from its line alone", () => {
  for (const text of [encodePublicKey(key.publicKey), key.publicKey.text])
    expect(parsePublicKey(text).text).toBe(key.publicKey.text);
});

test.each(["", "untrusted comment: nothing else", "RWQ", `X${key.publicKey.text.slice(1)}`, `${key.publicKey.text}A`])(
  "%j is no public key",
  (text) => {
    expect(() => parsePublicKey(text)).toThrow("no minisign public key");
  },
);

test("several public key files in one are several keys", () => {
  const other = createTestKey("minisign: other");
  const file = `${encodePublicKey(key.publicKey)}\r\n${encodePublicKey(other.publicKey)}`;
  expect(parsePublicKeys(file).map(({ text }) => text)).toEqual([key.publicKey.text, other.publicKey.text]);
  expect(() => parsePublicKeys(" \n")).toThrow("there is no minisign public key");
  expect(() => parsePublicKeys(`${file}\nstray`)).toThrow('"stray" is no minisign public key');
});

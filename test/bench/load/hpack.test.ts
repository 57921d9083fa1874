import { expect, test } from "vitest";
import { decodeHeaders, encodeHeaders } from "./hpack.ts";

/** A literal field without a table whose value is Huffman-coded, as these bytes in hex. */
function fieldOf(name: string, huffman: string): Buffer {
  const value = Buffer.from(huffman, "hex");
  return Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(0x80 + value.length), value]);
}

// RFC 7541, appendix C.6.
test.each([
  ["6402", "302"],
  ["aec3771a4b", "private"],
  ["d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ["9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"],
  [
    "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ],
])("the RFC's example %s reads %s", (huffman, text) => {
  expect(decodeHeaders(fieldOf("name", huffman)).get("name")).toBe(text);
});

test("what is written is read again, long values included, and fields of the static table are passed over", () => {
  const fields = [
    ["grpc-status", "14"],
    ["long", "x".repeat(300)],
  ] as const;
  const block = Buffer.concat([Buffer.of(0x88, 0x3f, 0xe1, 0x1f), encodeHeaders(fields), Buffer.of(0x5f, 1, 0x61)]);
  expect([...decodeHeaders(block)]).toEqual(fields.map((field) => [...field]));
});

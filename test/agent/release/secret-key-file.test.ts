import { expect, test } from "vitest";
import { decodeSecretKey, encodeSecretKey } from "../../../agent/release/secret-key-file.ts";
import { createSecretKey } from "../../../agent/release/secret-key.ts";
import { CHEAP_COST } from "../../support/test-bench.ts";
import { createTestKey } from "../../support/test-keys.ts";

const key = createTestKey("secret key file");
const encryption = { password: "correct horse", salt: Buffer.alloc(32, 7), cost: CHEAP_COST };

const typing = (password: string) => async () => password;
const nobody = async (): Promise<string> => {
  throw new Error("no password is needed");
};

/** The file with its bytes changed. */
function withBytes(file: string, change: (bytes: Buffer) => void): string {
  const [comment, line = ""] = file.split("\n");
  const bytes = Buffer.from(line, "base64");
  change(bytes);
  return `${comment}\n${bytes.toString("base64")}\n`;
}

test("a key is what was written, without a password", async () => {
  const read = await decodeSecretKey(await encodeSecretKey(key, undefined), nobody);
  expect([read.publicKey.text, read.seed.equals(key.seed)]).toEqual([key.publicKey.text, true]);
});

test.each([
  ["little work", CHEAP_COST],
  ["more rounds than memory", { operations: 2 ** 18, memoryBytes: 2 ** 18 }],
])("a key is what was written, with a password and %s", async (_, cost) => {
  const file = await encodeSecretKey(key, { ...encryption, cost });
  expect(file).not.toContain(key.seed.toString("base64").slice(0, 20));
  const read = await decodeSecretKey(file, typing("correct horse"));
  expect([read.publicKey.text, read.seed.equals(key.seed)]).toEqual([key.publicKey.text, true]);
});

test("another password, and another salt, give another file", async () => {
  const files = [
    await encodeSecretKey(key, encryption),
    await encodeSecretKey(key, { ...encryption, password: "other" }),
    await encodeSecretKey(key, { ...encryption, salt: Buffer.alloc(32, 8) }),
  ];
  expect(new Set(files.map((file) => file.split("\n")[1]?.slice(-100))).size).toBe(3);
});

test("a wrong password is told", async () => {
  const file = await encodeSecretKey(key, encryption);
  await expect(decodeSecretKey(file, typing("correct hose"))).rejects.toThrow("the password is wrong");
});

test("a damaged key is never taken for a key, whichever byte it is", async () => {
  const file = await encodeSecretKey(key, undefined);
  // Salt and cost mean nothing without a password.
  for (let at = 0; at < 158; at += at === 5 ? 49 : 1) {
    const damaged = withBytes(file, (bytes) => bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at));
    await expect(decodeSecretKey(damaged, nobody), `byte ${at}`).rejects.toThrow(/damaged|not known here/);
  }
});

test("a plain key of minisign's own is taken, which has no checksum", async () => {
  const file = withBytes(await encodeSecretKey(key, undefined), (bytes) => bytes.fill(0, 126));
  expect((await decodeSecretKey(file, nobody)).publicKey.text).toBe(key.publicKey.text);
  const damaged = withBytes(file, (bytes) => bytes.writeUInt8((bytes[70] ?? 0) ^ 1, 70));
  await expect(decodeSecretKey(damaged, nobody)).rejects.toThrow("does not belong to its secret half");
  const sealed = withBytes(await encodeSecretKey(key, encryption), (bytes) => bytes.fill(0, 126));
  await expect(decodeSecretKey(sealed, typing("correct horse"))).rejects.toThrow("the password is wrong");
});

test("halves that do not belong together are refused even with a fitting checksum", async () => {
  const stranger = createTestKey("stranger");
  const file = await encodeSecretKey({ ...key, seed: stranger.seed }, undefined);
  await expect(decodeSecretKey(file, nobody)).rejects.toThrow("does not belong to its secret half");
});

test.each([
  ["operations", 38],
  ["memory", 46],
])("a file that asks for too much %s is refused before any is spent", async (_, at) => {
  const file = withBytes(await encodeSecretKey(key, encryption), (bytes) => bytes.writeBigUInt64LE(2n ** 40n, at));
  await expect(decodeSecretKey(file, nobody)).rejects.toThrow("more work than is done here");
});

test.each(["", "untrusted comment: nothing", `untrusted comment: a public key\n${key.publicKey.text}\n`])(
  "%j is no secret key",
  async (text) => {
    await expect(decodeSecretKey(text, nobody)).rejects.toThrow("it is no minisign secret key");
  },
);

test("a key needs an id and a seed of the right size", () => {
  expect(() => createSecretKey(Buffer.alloc(7), key.seed)).toThrow("an id of 8 bytes and a seed of 32");
  expect(() => createSecretKey(Buffer.alloc(8), Buffer.alloc(31))).toThrow("an id of 8 bytes and a seed of 32");
});

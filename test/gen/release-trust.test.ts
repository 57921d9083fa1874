import { expect, test } from "vitest";
import { parsePublicKey } from "../../gen/minisign.ts";
import { MAX_KEY_SET_BYTES, TrustError, verifyKeySet, verifyManifest } from "../../gen/release-trust.ts";
import {
  createTestKey,
  createTestPublisher,
  nameKey,
  signBytes,
  signKeySet,
  type SignedDocument,
} from "../support/test-keys.ts";

const publisher = createTestPublisher("trust");
const [firstRoot, secondRoot] = publisher.roots;
const { signingKey, rootKeys } = publisher;
const other = createTestKey("trust: other");
const document = signBytes(signingKey, Buffer.from("a manifest"), "file:manifest.json");

function readKeySet(document: SignedDocument) {
  return verifyKeySet(document.bytes, document.signature, rootKeys);
}

/** The problem and the sentence that `act` is refused with. */
function refusal(act: () => unknown): readonly [string, string] {
  try {
    act();
  } catch (error) {
    if (error instanceof TrustError) return [error.problem, error.message];
    throw error;
  }
  throw new Error("it was not refused");
}

test("a key set counts by whichever root signed it", () => {
  expect(readKeySet(publisher.keySet).sequence).toBe(1n);
  expect(readKeySet(signKeySet(secondRoot, { signingKeys: [nameKey(other)], sequence: 7n })).sequence).toBe(7n);
});

test.each([
  ["by a signing key", signKeySet(signingKey, { signingKeys: [nameKey(other)] }), "not signed by a root key"],
  ["by a stranger under a root's id", forgeRootId(), "not signed by a root key"],
  ["without a signature", { ...publisher.keySet, signature: Buffer.alloc(0) }, "the key set is not signed"],
  ["with half a signature", { ...publisher.keySet, signature: half(publisher.keySet.signature) }, "cannot be read"],
  ["of other bytes", { ...publisher.keySet, bytes: Buffer.from("{}") }, "not signed by a root key"],
  ["of too many bytes", signBytes(firstRoot, Buffer.alloc(MAX_KEY_SET_BYTES + 1), ""), "at most 65536 are read"],
  ["that is no JSON", signBytes(firstRoot, Buffer.from("keys"), ""), "JSON"],
  ["of no signing key", signKeySet(firstRoot, {}), "signingKeys is required"],
  ["of a sequence of 0", signKeySet(firstRoot, { signingKeys: [nameKey(other)], sequence: 0n }), "at least 1"],
  ["of another format", signKeySet(firstRoot, { signingKeys: [nameKey(other)], format: 2 }), "at most 1"],
  [
    "that names what is no key",
    signKeySet(firstRoot, { signingKeys: [{ ...nameKey(other), publicKey: "key" }] }),
    "no minisign public key",
  ],
])("a key set %s is keys_invalid", (_, keySet, sentence) => {
  expect(refusal(() => readKeySet(keySet))).toEqual(["keys_invalid", expect.stringContaining(sentence)]);
});

test("no root means no trust", () => {
  const { bytes, signature } = publisher.keySet;
  expect(refusal(() => verifyKeySet(bytes, signature, []))[0]).toBe("keys_invalid");
});

test("a manifest's signer is named as the key set names it", () => {
  const keys = readKeySet(
    signKeySet(firstRoot, { signingKeys: [nameKey(other), nameKey(signingKey, "build machine")] }),
  );
  const signer = verifyManifest(document.bytes, document.signature, keys);
  expect([signer.label, signer.key.text]).toEqual(["build machine", signingKey.publicKey.text]);
});

test.each([
  ["without a signature", Buffer.alloc(0), "the manifest is not signed"],
  ["with half a signature", half(document.signature), "cannot be read"],
  ["with the signature of other bytes", signBytes(signingKey, Buffer.from("another"), "").signature, "not what key"],
  [
    "signed by a stranger under the key's id",
    signBytes(withIdOf(signingKey), document.bytes, "").signature,
    "not what",
  ],
])("a manifest %s is signature_invalid", (_, signature, sentence) => {
  const keys = readKeySet(publisher.keySet);
  expect(refusal(() => verifyManifest(document.bytes, signature, keys))).toEqual([
    "signature_invalid",
    expect.stringContaining(sentence),
  ]);
});

test("a manifest signed by a key that the key set does not name is key_unknown", () => {
  const keys = readKeySet(publisher.keySet);
  for (const key of [other, firstRoot]) {
    const { bytes, signature } = signBytes(key, document.bytes, "");
    expect(refusal(() => verifyManifest(bytes, signature, keys))).toEqual([
      "key_unknown",
      expect.stringContaining(key.publicKey.keyId),
    ]);
  }
});

test("a manifest signed by a revoked key is key_revoked, named still or not", () => {
  const revokedKeys = [signingKey.publicKey.text];
  for (const signingKeys of [[nameKey(other)], [nameKey(other), nameKey(signingKey)]]) {
    const keys = readKeySet(signKeySet(firstRoot, { signingKeys, revokedKeys }));
    expect(refusal(() => verifyManifest(document.bytes, document.signature, keys))[0]).toBe("key_revoked");
  }
});

test("revoking a key leaves another key of the same id alone", () => {
  const twin = withIdOf(signingKey);
  const signingKeys = [nameKey(signingKey)];
  const keys = readKeySet(signKeySet(firstRoot, { signingKeys, revokedKeys: [twin.publicKey.text, "nokey"] }));
  expect(verifyManifest(document.bytes, document.signature, keys).key.text).toBe(signingKey.publicKey.text);
});

function withIdOf(key: typeof signingKey) {
  const twin = createTestKey("trust: twin", Buffer.from(key.publicKey.text, "base64").subarray(2, 10));
  expect(parsePublicKey(twin.publicKey.text).keyId).toBe(key.publicKey.keyId);
  return twin;
}

function forgeRootId(): SignedDocument {
  return signKeySet(withIdOf(firstRoot), { signingKeys: [nameKey(other)] });
}

function half(file: Buffer): Buffer {
  return file.subarray(0, file.length / 2);
}

/**
 * A publisher of releases with keys that follow from its name: the same name gives
 * the same keys in every process. Documents are signed by whichever key a test
 * wants, also by one that may not.
 */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Publisher } from "../../agent/build/publisher.ts";
import { createSecretKey, encodePublicKey, signContent, type SecretKey } from "../../agent/release/secret-key.ts";
import { encodeManifest } from "../../gen/manifest.ts";
import type { PublicKey } from "../../gen/minisign.ts";
import { encodeKeySet, verifyKeySet } from "../../gen/release-trust.ts";
import {
  KeySetSchema,
  SigningKeySchema,
  type KeySet,
  type Manifest,
  type SigningKey,
} from "../../gen/rollcall/v1/release_pb.js";

const KEY_SET_TIME = timestampFromDate(new Date(Date.UTC(2026, 0, 1)));

/** Raw bytes and the signature file that goes with them. */
export interface SignedDocument {
  readonly bytes: Buffer;
  readonly signature: Buffer;
}

/** Who publishes releases: its keys and its first key set. */
export interface TestPublisher {
  readonly roots: readonly [SecretKey, SecretKey];
  readonly rootKeys: readonly PublicKey[];
  /** What stands in `roots.pub`. */
  readonly rootsFile: string;
  readonly signingKey: SecretKey;
  /** Of sequence 1; names the signing key, is signed by the first root. */
  readonly keySet: SignedDocument;
}

/** The key pair of this name. Another `id` gives the same pair under another id. */
export function createTestKey(name: string, id = digest(`id of ${name}`).subarray(0, 8)): SecretKey {
  return createSecretKey(id, digest(`seed of ${name}`));
}

/** The publisher of this name. */
export function createTestPublisher(name = "test publisher"): TestPublisher {
  const roots = [createTestKey(`${name}: root 1`), createTestKey(`${name}: root 2`)] as const;
  const rootKeys = roots.map(({ publicKey }) => publicKey);
  const signingKey = createTestKey(`${name}: signing`);
  return {
    roots,
    rootKeys,
    rootsFile: rootKeys.map(encodePublicKey).join(""),
    signingKey,
    keySet: signKeySet(roots[0], { signingKeys: [nameKey(signingKey)] }),
  };
}

/** The publisher as a build knows it, with its signing key at hand unless told otherwise. */
export function createBuildPublisher(publisher: TestPublisher, signingKey?: SecretKey | "elsewhere"): Publisher {
  const { bytes, signature } = publisher.keySet;
  const keySet = verifyKeySet(bytes, signature, publisher.rootKeys);
  return {
    folder: { path: "test keys", roots: publisher.rootKeys, keySet, keys: bytes, keysSignature: signature },
    signingKey: signingKey === "elsewhere" ? undefined : (signingKey ?? publisher.signingKey),
  };
}

/** What a key set says of a key. */
export function nameKey(key: SecretKey, label = "test signing key"): SigningKey {
  return create(SigningKeySchema, { publicKey: key.publicKey.text, label });
}

/** What a key set may say, true or not. */
export type KeySetFields = Partial<Omit<KeySet, "$typeName" | "$unknown" | "createdAt">>;

/** A key set signed by `key`, root or not: sequence 1 and no signing key unless `fields` say otherwise. */
export function signKeySet(key: SecretKey, fields: KeySetFields): SignedDocument {
  const keySet = create(KeySetSchema, { format: 1, sequence: 1n, createdAt: KEY_SET_TIME, ...fields });
  return signBytes(key, encodeKeySet(keySet), "file:keys.json");
}

/** A manifest signed by `key`. */
export function signManifest(key: SecretKey, manifest: Manifest): SignedDocument {
  return signBytes(key, encodeManifest(manifest), "file:manifest.json");
}

/** Any bytes signed by `key`. */
export function signBytes(key: SecretKey, bytes: Buffer, trustedComment: string): SignedDocument {
  return { bytes, signature: signContent(key, bytes, trustedComment) };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Who may say what a release is. Root keys sign the key set, the keys it names
 * sign manifests. Server and agent ask the same questions here; only the agent's
 * answer protects a host.
 */
import { parsePublicKey, parseSignature, isSignedBy, type PublicKey, type Signature } from "./minisign.ts";
import { KeySetSchema, type KeySet } from "./rollcall/v1/release_pb.js";
import { decodeDocument, encodeDocument, type DocumentKind } from "./signed-document.ts";

/** *Units*: bytes. A longer key set is refused before it is parsed. */
export const MAX_KEY_SET_BYTES = 64 * 1024;

/** Why a document is not trusted. The words of `JobReason`. */
export type TrustProblem = "keys_invalid" | "signature_invalid" | "key_unknown" | "key_revoked";

/** A document that is not trusted. Its message is a sentence for people. */
export class TrustError extends Error {
  readonly problem: TrustProblem;

  constructor(problem: TrustProblem, sentence: string, cause?: unknown) {
    super(sentence, { cause });
    this.name = "TrustError";
    this.problem = problem;
  }
}

/** The key that signed a manifest. */
export interface Signer {
  readonly key: PublicKey;
  /** What the key set calls it. */
  readonly label: string;
}

const KEY_SET: DocumentKind<typeof KeySetSchema> = {
  schema: KeySetSchema,
  name: "key set",
  maxBytes: MAX_KEY_SET_BYTES,
};

/** The bytes of a key set. */
export function encodeKeySet(keySet: KeySet): Buffer {
  return encodeDocument(KEY_SET, keySet);
}

/** A key set that one of the root keys signed. *Throws* TrustError (keys_invalid). */
export function verifyKeySet(bytes: Uint8Array, signatureFile: Uint8Array, roots: readonly PublicKey[]): KeySet {
  if (bytes.length > MAX_KEY_SET_BYTES)
    throw new TrustError(
      "keys_invalid",
      `the key set has ${bytes.length} bytes, at most ${MAX_KEY_SET_BYTES} are read`,
    );
  const signature = readSignature(signatureFile, "key set", "keys_invalid");
  if (!roots.some((root) => isSignedBy(root, bytes, signature)))
    throw new TrustError("keys_invalid", `the key set is not signed by a root key (it names key ${signature.keyId})`);
  try {
    const keySet = decodeDocument(KEY_SET, bytes);
    for (const { publicKey } of keySet.signingKeys) parsePublicKey(publicKey);
    return keySet;
  } catch (error) {
    throw new TrustError("keys_invalid", (error as Error).message, error);
  }
}

/**
 * The key of `keySet` that signed a manifest.
 *
 * *Throws* TrustError: signature_invalid (unreadable, or of other bytes), key_unknown, key_revoked.
 */
export function verifyManifest(bytes: Uint8Array, signatureFile: Uint8Array, keySet: KeySet): Signer {
  const signature = readSignature(signatureFile, "manifest", "signature_invalid");
  const revoked = keySet.revokedKeys.filter((text) => keyIdOf(text) === signature.keyId);
  const named = keySet.signingKeys
    .map(({ publicKey, label }) => ({ key: parsePublicKey(publicKey), label }))
    .filter(({ key }) => key.keyId === signature.keyId && !revoked.includes(key.text));
  const signer = named.find(({ key }) => isSignedBy(key, bytes, signature));
  if (signer !== undefined) return signer;
  if (revoked.some((text) => isSignedBy(parsePublicKey(text), bytes, signature)))
    throw new TrustError("key_revoked", `the manifest is signed by key ${signature.keyId}, which was revoked`);
  if (named.length > 0)
    throw new TrustError("signature_invalid", `the manifest is not what key ${signature.keyId} signed`);
  throw new TrustError(
    "key_unknown",
    `the manifest is signed by key ${signature.keyId}, which the key set does not name`,
  );
}

function readSignature(file: Uint8Array, name: string, problem: TrustProblem): Signature {
  if (file.length === 0) throw new TrustError(problem, `the ${name} is not signed`);
  try {
    return parseSignature(file);
  } catch (error) {
    throw new TrustError(problem, `the ${name}'s signature cannot be read: ${(error as Error).message}`, error);
  }
}

/** *Shape*: `undefined` for text that is no key: nothing is signed by it. */
function keyIdOf(text: string): string | undefined {
  try {
    return parsePublicKey(text).keyId;
  } catch {
    return undefined;
  }
}

/** The half of a key pair that its owner keeps, and what it does: sign. */
import { createPrivateKey, createPublicKey, hash, sign, type KeyObject } from "node:crypto";
import { parsePublicKey, type PublicKey } from "../../gen/minisign.ts";

/** A key that signs. Never leaves the publisher's machine. */
export interface SecretKey {
  readonly publicKey: PublicKey;
  /** 32 bytes; everything else about the key follows from them and its id. */
  readonly seed: Buffer;
  readonly key: KeyObject;
}

/** *Units*: bytes. */
export const KEY_ID_BYTES = 8;
/** *Units*: bytes. */
export const SEED_BYTES = 32;

const PUBLIC_KEY_BYTES = 32;
/** What DER puts before the seed of an Ed25519 private key. *Source*: RFC 8410. */
const DER_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
/** Longer comments would not fit the signature files that are read. */
const MAX_COMMENT_LENGTH = 1024;

/** The key pair of this id and seed. */
export function createSecretKey(id: Uint8Array, seed: Uint8Array): SecretKey {
  if (id.length !== KEY_ID_BYTES || seed.length !== SEED_BYTES)
    throw new Error(`a key has an id of ${KEY_ID_BYTES} bytes and a seed of ${SEED_BYTES}`);
  const key = createPrivateKey({ key: Buffer.concat([DER_PREFIX, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const text = Buffer.concat([Buffer.from("Ed"), id, spki.subarray(-PUBLIC_KEY_BYTES)]).toString("base64");
  return { publicKey: parsePublicKey(text), seed: Buffer.from(seed), key };
}

/**
 * The signature file of `content`: prehashed, and with a comment that is signed too.
 *
 * *Throws* Error when the comment is no single line of at most 1024 characters.
 *
 * *Source*: minisign(1), "Signature format".
 */
export function signContent(secretKey: SecretKey, content: Uint8Array, trustedComment: string): Buffer {
  if (trustedComment.length > MAX_COMMENT_LENGTH || /[\r\n\0]/.test(trustedComment))
    throw new Error(`a trusted comment is one line of at most ${MAX_COMMENT_LENGTH} characters`);
  const { publicKey, key } = secretKey;
  const ofContent = sign(null, hash("blake2b512", content, "buffer"), key);
  const ofComment = sign(null, Buffer.concat([ofContent, Buffer.from(trustedComment)]), key);
  return Buffer.from(
    [
      `untrusted comment: signature by key ${publicKey.keyId}`,
      Buffer.concat([Buffer.from("ED"), keyIdBytes(publicKey), ofContent]).toString("base64"),
      `trusted comment: ${trustedComment}`,
      ofComment.toString("base64"),
      "",
    ].join("\n"),
  );
}

/** The trusted comment that minisign itself writes. */
export function describeSignedFile(fileName: string, signedAt: Date): string {
  return `timestamp:${Math.floor(signedAt.getTime() / 1000)}\tfile:${fileName}\thashed`;
}

/** The id as it stands in keys and signatures. */
export function keyIdBytes(publicKey: PublicKey): Buffer {
  return Buffer.from(publicKey.text, "base64").subarray(2, 2 + KEY_ID_BYTES);
}

/** A public key file. */
export function encodePublicKey(publicKey: PublicKey): string {
  return `untrusted comment: minisign public key ${publicKey.keyId}\n${publicKey.text}\n`;
}

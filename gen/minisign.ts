/**
 * Public keys and signatures in minisign's own formats, so that the stock tool
 * verifies ours and we verify its. Only prehashed signatures are taken.
 *
 * *Source*: minisign(1), "Signature format" and "Public key format".
 */
import { createPublicKey, hash, verify, type KeyObject } from "node:crypto";

/** Half of a key pair that anybody may know. */
export interface PublicKey {
  /** As minisign prints it: upper-case hex. Two keys may share it; only `text` tells keys apart. */
  readonly keyId: string;
  /** The second line of a public key file. */
  readonly text: string;
  readonly key: KeyObject;
}

/** What a signature file holds. */
export interface Signature {
  /** The id that the signer's key claims. */
  readonly keyId: string;
  readonly trustedComment: string;
  readonly ofContent: Buffer;
  /** Over `ofContent` and the trusted comment. */
  readonly ofComment: Buffer;
}

/** *Units*: bytes. A longer signature file is not read. */
export const MAX_SIGNATURE_BYTES = 4096;

/** The algorithm of keys, and of signatures over a BLAKE2b-512 digest. */
const KEY_ALGORITHM = "Ed";
const PREHASHED_ALGORITHM = "ED";
const KEY_ID_BYTES = 8;
const ED25519_KEY_BYTES = 32;
const ED25519_SIGNATURE_BYTES = 64;
const UNTRUSTED_COMMENT = "untrusted comment:";
const TRUSTED_COMMENT = "trusted comment: ";
/** What DER puts before the 32 bytes of an Ed25519 public key. *Source*: RFC 8410. */
const DER_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** Parses a public key: a whole file, or its second line alone. *Throws* Error. */
export function parsePublicKey(text: string): PublicKey {
  const line = text.trim().split(/\r?\n/).at(-1)?.trim() ?? "";
  const bytes = decodeBase64(line, 2 + KEY_ID_BYTES + ED25519_KEY_BYTES);
  if (bytes?.subarray(0, 2).toString("latin1") !== KEY_ALGORITHM)
    throw new Error(`${JSON.stringify(line.slice(0, 40))} is no minisign public key`);
  const der = Buffer.concat([DER_PREFIX, bytes.subarray(2 + KEY_ID_BYTES)]);
  return { keyId: readKeyId(bytes), text: line, key: createPublicKey({ key: der, format: "der", type: "spki" }) };
}

/** Parses public key files that stand one after another in one file. *Throws* Error, also when there is none. */
export function parsePublicKeys(text: string): readonly PublicKey[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith(UNTRUSTED_COMMENT));
  if (keys.length === 0) throw new Error("there is no minisign public key");
  return keys.map(parsePublicKey);
}

/** Parses a signature file without verifying anything. *Throws* Error. */
export function parseSignature(file: Uint8Array): Signature {
  if (file.length > MAX_SIGNATURE_BYTES)
    throw new Error(`the signature has ${file.length} bytes, at most ${MAX_SIGNATURE_BYTES} are read`);
  const [, first = "", comment = "", second = ""] = Buffer.from(file).toString("utf8").split(/\r?\n/);
  const signed = decodeBase64(first, 2 + KEY_ID_BYTES + ED25519_SIGNATURE_BYTES);
  const ofComment = decodeBase64(second, ED25519_SIGNATURE_BYTES);
  if (signed === undefined || ofComment === undefined || !comment.startsWith(TRUSTED_COMMENT))
    throw new Error("it is no minisign signature");
  const algorithm = signed.subarray(0, 2).toString("latin1");
  if (algorithm !== PREHASHED_ALGORITHM)
    throw new Error(`only prehashed signatures are taken, not ${JSON.stringify(algorithm)}`);
  return {
    keyId: readKeyId(signed),
    trustedComment: comment.slice(TRUSTED_COMMENT.length),
    ofContent: signed.subarray(2 + KEY_ID_BYTES),
    ofComment,
  };
}

/** Whether `signature` is one by `key` over `content`, its trusted comment included. */
export function isSignedBy(key: PublicKey, content: Uint8Array, signature: Signature): boolean {
  if (signature.keyId !== key.keyId) return false;
  const commented = Buffer.concat([signature.ofContent, Buffer.from(signature.trustedComment)]);
  return (
    verify(null, hash("blake2b512", content, "buffer"), key.key, signature.ofContent) &&
    verify(null, commented, key.key, signature.ofComment)
  );
}

/** The id at bytes 2 to 10 of a key or signature: a little-endian number. */
function readKeyId(bytes: Buffer): string {
  return bytes.readBigUInt64LE(2).toString(16).toUpperCase().padStart(16, "0");
}

/** *Shape*: `undefined` unless `text` is exactly that many bytes in base64. */
function decodeBase64(text: string, byteCount: number): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === byteCount && bytes.toString("base64") === text ? bytes : undefined;
}

/**
 * Secret key files in minisign's own format, with a password or without.
 *
 * 158 bytes in base64 after a comment: algorithms, how the password is stretched,
 * then key id, seed, public key and a checksum of these, which are encrypted by
 * XOR with what scrypt makes of the password. The checksum is how a wrong password
 * is noticed.
 *
 * *Source*: minisign(1), "Secret key format"; libsodium, `crypto_pwhash_scryptsalsa208sha256`.
 */
import { scrypt, type ScryptOptions } from "node:crypto";
import { blake2b } from "@noble/hashes/blake2.js";
import { createSecretKey, KEY_ID_BYTES, keyIdBytes, SEED_BYTES, type SecretKey } from "./secret-key.ts";

/** How much work it is to try one password, in libsodium's terms. */
export interface ScryptCost {
  readonly operations: number;
  readonly memoryBytes: number;
}

/** A password and what it is stretched with. */
export interface Encryption {
  readonly password: string;
  /** 32 random bytes. */
  readonly salt: Buffer;
  readonly cost: ScryptCost;
}

/** What minisign uses: seconds and a gigabyte a try. */
export const MINISIGN_COST: ScryptCost = { operations: 2 ** 25, memoryBytes: 2 ** 30 };
/** *Units*: bytes. */
export const SALT_BYTES = 32;

const SIGNATURE_ALGORITHM = "Ed";
const SCRYPT = "Sc";
const NO_ENCRYPTION = "\0\0";
const CHECKSUM_ALGORITHM = "B2";
const SALT_AT = 6;
const COST_AT = SALT_AT + SALT_BYTES;
const KEY_AT = COST_AT + 16;
const CHECKSUM_AT = KEY_AT + KEY_ID_BYTES + 64;
const CHECKSUM_BYTES = 32;
const FILE_BYTES = CHECKSUM_AT + CHECKSUM_BYTES;
/** *Units*: bytes. A file may not make its reader take more memory than that. */
const MAX_MEMORY_BYTES = 2 ** 31;
const MAX_OPERATIONS = 2 ** 28;
const SCRYPT_BLOCK_SIZE = 8;

/** The file of a secret key; without `encryption` whoever reads it has the key. */
export async function encodeSecretKey(secretKey: SecretKey, encryption: Encryption | undefined): Promise<string> {
  const bytes = Buffer.alloc(FILE_BYTES);
  bytes.write(`${SIGNATURE_ALGORITHM}${encryption ? SCRYPT : NO_ENCRYPTION}${CHECKSUM_ALGORITHM}`, "latin1");
  const publicKey = Buffer.from(secretKey.publicKey.text, "base64").subarray(2 + KEY_ID_BYTES);
  Buffer.concat([keyIdBytes(secretKey.publicKey), secretKey.seed, publicKey]).copy(bytes, KEY_AT);
  computeChecksum(bytes).copy(bytes, CHECKSUM_AT);
  if (encryption !== undefined) {
    encryption.salt.copy(bytes, SALT_AT);
    bytes.writeBigUInt64LE(BigInt(encryption.cost.operations), COST_AT);
    bytes.writeBigUInt64LE(BigInt(encryption.cost.memoryBytes), COST_AT + 8);
    await crypt(bytes, encryption);
  }
  const kind = encryption === undefined ? "secret" : "encrypted secret";
  return `untrusted comment: minisign ${kind} key\n${bytes.toString("base64")}\n`;
}

/**
 * Reads a secret key file; `askPassword` is called if it has one.
 *
 * *Throws* Error that says what is wrong with the file or the password.
 */
export async function decodeSecretKey(text: string, askPassword: () => Promise<string>): Promise<SecretKey> {
  const line = text.trimEnd().split(/\r?\n/)[1] ?? "";
  const bytes = Buffer.from(line, "base64");
  if (bytes.length !== FILE_BYTES || bytes.toString("base64") !== line) throw new Error("it is no minisign secret key");
  const algorithms = bytes.toString("latin1", 0, SALT_AT);
  const isEncrypted = algorithms === `${SIGNATURE_ALGORITHM}${SCRYPT}${CHECKSUM_ALGORITHM}`;
  if (!isEncrypted && algorithms !== `${SIGNATURE_ALGORITHM}${NO_ENCRYPTION}${CHECKSUM_ALGORITHM}`)
    throw new Error(`it is made by algorithms that are not known here: ${JSON.stringify(algorithms)}`);
  if (isEncrypted) {
    const cost = readCost(bytes);
    await crypt(bytes, { password: await askPassword(), salt: bytes.subarray(SALT_AT, COST_AT), cost });
  }
  if (!hasChecksum(bytes, isEncrypted))
    throw new Error(isEncrypted ? "the password is wrong, or the file is damaged" : "the file is damaged");
  return readKey(bytes);
}

/** minisign 0.11 writes plain keys without a checksum: zeros stand there. */
function hasChecksum(bytes: Buffer, isEncrypted: boolean): boolean {
  const checksum = bytes.subarray(CHECKSUM_AT);
  if (!isEncrypted && checksum.every((byte) => byte === 0)) return true;
  return computeChecksum(bytes).equals(checksum);
}

function readKey(bytes: Buffer): SecretKey {
  const seedAt = KEY_AT + KEY_ID_BYTES;
  const secretKey = createSecretKey(bytes.subarray(KEY_AT, seedAt), bytes.subarray(seedAt, seedAt + SEED_BYTES));
  const publicKey = Buffer.from(secretKey.publicKey.text, "base64").subarray(2 + KEY_ID_BYTES);
  if (!publicKey.equals(bytes.subarray(seedAt + SEED_BYTES, CHECKSUM_AT)))
    throw new Error("its public half does not belong to its secret half");
  return secretKey;
}

function readCost(bytes: Buffer): ScryptCost {
  const operations = bytes.readBigUInt64LE(COST_AT);
  const memoryBytes = bytes.readBigUInt64LE(COST_AT + 8);
  if (operations > MAX_OPERATIONS || memoryBytes > MAX_MEMORY_BYTES)
    throw new Error("its password is stretched with more work than is done here");
  return { operations: Number(operations), memoryBytes: Number(memoryBytes) };
}

/** The checksum that a whole, plain key has. OpenSSL has no BLAKE2b of 256 bits. */
function computeChecksum(bytes: Buffer): Buffer {
  const covered = Buffer.concat([bytes.subarray(0, 2), bytes.subarray(KEY_AT, CHECKSUM_AT)]);
  return Buffer.from(blake2b(covered, { dkLen: CHECKSUM_BYTES }));
}

/** Encrypts or decrypts everything from the key id on, in place. */
async function crypt(bytes: Buffer, { password, salt, cost }: Encryption): Promise<void> {
  const options = chooseScryptOptions(cost);
  const stream = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password, salt, FILE_BYTES - KEY_AT, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
  for (const [index, byte] of stream.entries()) bytes[KEY_AT + index] = (bytes[KEY_AT + index] ?? 0) ^ byte;
}

/** What libsodium makes of a cost: memory first where it is scarce, else rounds. */
function chooseScryptOptions(cost: ScryptCost): ScryptOptions {
  const operations = Math.max(cost.operations, 32_768);
  const isShort = operations < cost.memoryBytes / 32;
  const largest = isShort ? operations / (SCRYPT_BLOCK_SIZE * 4) : cost.memoryBytes / (SCRYPT_BLOCK_SIZE * 128);
  let steps = 2;
  while (steps <= Math.floor(largest) / 2) steps *= 2;
  const rounds = Math.floor(operations / 4 / steps / SCRYPT_BLOCK_SIZE);
  return {
    N: steps,
    r: SCRYPT_BLOCK_SIZE,
    p: isShort ? 1 : rounds,
    // A little more than scrypt itself takes: the limit counts its working space too.
    maxmem: 128 * SCRYPT_BLOCK_SIZE * (steps + rounds + 8),
  };
}

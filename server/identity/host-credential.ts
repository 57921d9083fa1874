/**
 * The credential of a host: `rc_host_` and base64url of host id (16 bytes),
 * generation (4 bytes) and HMAC-SHA-256 of both under the server's key. Derived, not
 * stored: a database restored from a backup still knows a credential that was
 * handed out after the backup.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { HostId } from "../domain/ids.ts";

const PREFIX = "rc_host_";
const CLAIM_BYTES = 20;
const MAC_BYTES = 32;

/** What a credential says, once its HMAC holds. */
export interface CredentialClaim {
  readonly hostId: HostId;
  readonly generation: number;
}

/** Derives the credential of one generation. */
export function deriveCredential(key: Uint8Array, claim: CredentialClaim): string {
  const bytes = encodeClaim(claim);
  return PREFIX + Buffer.concat([bytes, mac(key, bytes)]).toString("base64url");
}

/** Reads a credential; `undefined` unless this key derived it. Takes the same time for every wrong one of right length. */
export function readCredential(key: Uint8Array, credential: string): CredentialClaim | undefined {
  if (!credential.startsWith(PREFIX)) return undefined;
  const bytes = Buffer.from(credential.slice(PREFIX.length), "base64url");
  if (bytes.length !== CLAIM_BYTES + MAC_BYTES) return undefined;
  const claim = bytes.subarray(0, CLAIM_BYTES);
  if (!timingSafeEqual(bytes.subarray(CLAIM_BYTES), mac(key, claim))) return undefined;
  return { hostId: formatId(claim.subarray(0, 16)), generation: claim.readUInt32BE(16) };
}

function mac(key: Uint8Array, bytes: Uint8Array): Buffer {
  return createHmac("sha256", key).update("rollcall host credential\0").update(bytes).digest();
}

function encodeClaim(claim: CredentialClaim): Buffer {
  const bytes = Buffer.alloc(CLAIM_BYTES);
  bytes.write(claim.hostId.replaceAll("-", ""), "hex");
  bytes.writeUInt32BE(claim.generation, 16);
  return bytes;
}

function formatId(bytes: Buffer): HostId {
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-") as HostId;
}

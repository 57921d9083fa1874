import { createHash } from "node:crypto";
import type { Random } from "../domain/clock.ts";

/** What a secret is for, readable by whoever finds one in the wrong place. */
type SecretPrefix = "rc_api_" | "rc_session_" | "rc_setup_";

const SECRET_BYTES = 32;

/** A fresh secret of 256 bits. */
export function createSecret(prefix: SecretPrefix, random: Random): string {
  return `${prefix}${Buffer.from(random.bytes(SECRET_BYTES)).toString("base64url")}`;
}

/** What is stored of a secret. It has 256 random bits, so one plain hash suffices. */
export function digestSecret(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

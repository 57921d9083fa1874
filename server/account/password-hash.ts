/**
 * Passwords at rest: argon2id as OpenSSL has it, which every Node of ours brings
 * along, so that no native package has to be trusted or kept current beside it.
 * Stored with its parameters, so that they can rise later.
 *
 * *Source*: RFC 9106; the PHC string format; OWASP's password storage cheat sheet for the cost.
 */
import { argon2, timingSafeEqual } from "node:crypto";
import type { Random } from "../domain/clock.ts";
import { normalizePassword } from "./password-policy.ts";

/** What one hash costs. *Units*: KiB of memory, passes over it. */
interface Cost {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

const COST: Cost = { memory: 47_104, passes: 1, parallelism: 1 };
const SALT_BYTES = 16;
const TAG_BYTES = 32;
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;

/** Hashes a password for storage. */
export async function hashPassword(password: string, random: Random): Promise<string> {
  const salt = Buffer.from(random.bytes(SALT_BYTES));
  const tag = await derive(password, salt, COST);
  const { memory, passes, parallelism } = COST;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`;
}

/** True when this is the password. *Throws* Error when the stored text is no hash of ours. */
export async function matchesPassword(password: string, stored: string): Promise<boolean> {
  const [, memory, passes, parallelism, salt = "", tag = ""] = PHC.exec(stored) ?? [];
  if (tag === "") throw new Error("a stored password hash cannot be read");
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  return timingSafeEqual(await derive(password, Buffer.from(salt, "base64"), cost), Buffer.from(tag, "base64"));
}

function derive(password: string, salt: Buffer, cost: Cost): Promise<Buffer> {
  const message = Buffer.from(normalizePassword(password));
  return new Promise((resolve, reject) => {
    argon2("argon2id", { message, nonce: salt, tagLength: TAG_BYTES, ...cost }, (error, tag) => {
      if (error === null) resolve(tag);
      else reject(error);
    });
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replaceAll("=", "");
}

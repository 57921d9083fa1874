/**
 * One bearer token with the role admin, in a file that only the server's user can
 * read: whoever can read it owns the server's data anyway.
 */
import { chmod, readFile } from "node:fs/promises";
import type { Random } from "../domain/clock.ts";

const TOKEN_BYTES = 32;
const TOKEN_PATTERN = /^rc_api_[A-Za-z0-9_-]{43}$/;

/** Writes a new file durably, never over another. */
export type WriteSecret = (path: string, content: string) => Promise<void>;

/**
 * Reads the token at `path`, or makes one at the first start.
 *
 * *Throws* Error when the file holds something else.
 */
export async function loadAdminToken(path: string, random: Random, writeSecret: WriteSecret): Promise<string> {
  const found = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found !== undefined) {
    if (!TOKEN_PATTERN.test(found.trim()))
      throw new Error(`${path} does not hold an admin token; remove it to get a new one`);
    await chmod(path, 0o600);
    return found.trim();
  }
  const token = `rc_api_${Buffer.from(random.bytes(TOKEN_BYTES)).toString("base64url")}`;
  await writeSecret(path, `${token}\n`);
  return token;
}

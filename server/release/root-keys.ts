/**
 * The publisher's root public keys, as the server knows them. They let it turn away
 * what hosts would refuse anyway; what a host trusts is part of its agent's build.
 */
import { readFile } from "node:fs/promises";
import { parsePublicKey, type PublicKey } from "../../gen/minisign.ts";
import { invalidRelease } from "./invalid-release.ts";

const COMMENT = "untrusted comment:";

/**
 * Reads a file of minisign public keys, one after another.
 *
 * *Throws* RefusedError (release_invalid) when it is missing, empty or holds something else.
 */
export async function readRootKeys(path: string): Promise<readonly PublicKey[]> {
  const keys = parseRootKeys(await readText(path));
  if (keys.length > 0) return keys;
  throw invalidRelease(path, "no_root_keys", "it holds no root public key");
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      const hint = "put the publisher's root public keys there, one .pub file after another";
      throw invalidRelease(path, "no_root_keys", `there is no such file, so no release can be checked: ${hint}`);
    }
    throw error;
  }
}

function parseRootKeys(text: string): readonly PublicKey[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith(COMMENT)).map(parseRootKey);
}

function parseRootKey(line: string): PublicKey {
  try {
    return parsePublicKey(line);
  } catch (error) {
    throw invalidRelease("roots.pub", "keys_invalid", (error as Error).message);
  }
}

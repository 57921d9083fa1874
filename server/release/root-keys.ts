/**
 * The publisher's root public keys, as the server knows them. They let it turn away
 * what hosts would refuse anyway; what a host trusts is part of its agent's build.
 */
import { readFile } from "node:fs/promises";
import { parsePublicKeys, type PublicKey } from "../../gen/minisign.ts";
import { invalidRelease } from "./invalid-release.ts";

/**
 * Reads a file of minisign public keys, one after another.
 *
 * *Throws* RefusedError (release_invalid) when it is missing, empty or holds something else.
 */
export async function readRootKeys(path: string): Promise<readonly PublicKey[]> {
  const text = await readText(path);
  try {
    return parsePublicKeys(text);
  } catch (error) {
    throw invalidRelease(path, "keys_invalid", (error as Error).message);
  }
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

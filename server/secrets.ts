/** What a data directory keeps for itself: made at the first start, kept for ever. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Random } from "./domain/clock.ts";
import { isId, type ReplicaId } from "./domain/ids.ts";
import { writeDurably } from "./stream/write-durably.ts";

const KEY_BYTES = 32;

/**
 * The key that host credentials are derived with. Losing it means enrolling every host again.
 *
 * *Throws* Error when the file holds something else.
 */
export async function loadCredentialKey(dataDir: string, random: Random): Promise<Uint8Array> {
  const path = join(dataDir, "credential.key");
  const text = await loadOrMake(path, () => Buffer.from(random.bytes(KEY_BYTES)).toString("hex"));
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`${path} does not hold a credential key; restore it from a backup`);
  return Buffer.from(text, "hex");
}

/** The name of this server among those that share a database; the same after every restart. */
export async function loadReplicaId(dataDir: string, random: Random): Promise<ReplicaId> {
  const path = join(dataDir, "replica-id");
  const text = await loadOrMake(path, () => random.uuid());
  if (!isId(text)) throw new Error(`${path} does not hold an id; remove it to get a new one`);
  return text as ReplicaId;
}

async function loadOrMake(path: string, make: () => string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const made = make();
  await writeDurably(path, `${made}\n`, 0o600);
  return made;
}

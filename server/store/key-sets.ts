/** The newest key set of a package that a root key signed. */
import { sql, type Kysely, type Transaction } from "kysely";
import type { Db } from "./schema.ts";

/** Raw bytes of keys.json and of its signature. */
export interface StoredKeySet {
  readonly keys: Uint8Array;
  readonly signature: Uint8Array;
}

/** A key set about to be kept. */
export interface NewKeySet extends StoredKeySet {
  readonly keySet: { readonly sequence: bigint; readonly development: boolean; readonly sequenceFloor?: bigint };
}

/** *Shape*: `undefined` while none was imported. */
export async function findKeySet(
  db: Kysely<Db> | Transaction<Db>,
  packageName: string,
): Promise<StoredKeySet | undefined> {
  return db.selectFrom("key_sets").select(["keys", "signature"]).where("package", "=", packageName).executeTakeFirst();
}

/** Keeps a key set in the place of the former one. */
export async function saveKeySet(tx: Transaction<Db>, packageName: string, kept: NewKeySet): Promise<void> {
  const values = {
    sequence: kept.keySet.sequence,
    keys: Buffer.from(kept.keys),
    signature: Buffer.from(kept.signature),
    is_development: kept.keySet.development,
    sequence_floor: kept.keySet.sequenceFloor ?? null,
  };
  await tx
    .insertInto("key_sets")
    .values({ package: packageName, ...values })
    .onConflict((conflict) =>
      conflict.column("package").doUpdateSet({ ...values, imported_at: sql<Date>`clock_timestamp()` }),
    )
    .execute();
}

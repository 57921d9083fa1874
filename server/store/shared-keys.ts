/** What all servers of one database have to share, by its sha256: one that has another would turn hosts away. */
import type { Kysely } from "kysely";
import type { Db, SharedKeysTable } from "./schema.ts";

/**
 * Notes a key, unless another was noted before; one of `former` gives way to it. True when it is the one that is noted.
 */
export async function agreeOnKey(
  db: Kysely<Db>,
  name: SharedKeysTable["name"],
  sha256: Buffer,
  former: readonly Buffer[] = [],
): Promise<boolean> {
  await db
    .insertInto("shared_keys")
    .values({ name, sha256 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  for (const before of former)
    await db.updateTable("shared_keys").set({ sha256 }).where("name", "=", name).where("sha256", "=", before).execute();
  const noted = await db.selectFrom("shared_keys").select("sha256").where("name", "=", name).executeTakeFirstOrThrow();
  return noted.sha256.equals(sha256);
}

import type { Kysely } from "kysely";
import { findKeySet } from "./key-sets.ts";
import { findTargetVersion } from "./releases.ts";
import type { Db } from "./schema.ts";

const NOTHING = new Uint8Array();

/** What a release consists of, with the newest key set; of the target without a version. `undefined` for none. */
export async function findReleaseFiles(db: Kysely<Db>, packageName: string, version: string | undefined) {
  const release = await db
    .selectFrom("releases")
    .select(["version", "manifest", "signature"])
    .where("package", "=", packageName)
    .where("version", "=", version ?? (await findTargetVersion(db, packageName)) ?? "")
    .executeTakeFirst();
  if (release === undefined) return undefined;
  const artifacts = await db
    .selectFrom("release_artifacts")
    .select(["platform", "file_name", "size_bytes", "sha256"])
    .where("package", "=", packageName)
    .where("version", "=", release.version)
    .execute();
  const keySet = await findKeySet(db, packageName);
  return {
    ...release,
    keys: keySet?.keys ?? NOTHING,
    keysSignature: keySet?.signature ?? NOTHING,
    artifacts: artifacts.map((row) => ({
      platform: row.platform,
      fileName: row.file_name,
      sizeBytes: Number(row.size_bytes),
      sha256: row.sha256,
    })),
  };
}

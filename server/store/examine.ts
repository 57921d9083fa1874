/** What a doctor asks of the database. */
import { sql, type Kysely } from "kysely";
import { platformOf } from "../domain/host.ts";
import type { Db } from "./schema.ts";

/** Which PostgreSQL it is. *Shape*: `number` is `major * 10000` and more, `text` as in `18.4`. */
export async function readServerVersion(db: Kysely<Db>): Promise<{ readonly number: number; readonly text: string }> {
  const { rows } = await sql<{ number: string; text: string }>`
    select current_setting('server_version_num') as number, split_part(current_setting('server_version'), ' ', 1) as text
  `.execute(db);
  return { number: Number(rows[0]?.number), text: rows[0]?.text ?? "" };
}

/** The database's own time. */
export async function readDatabaseTime(db: Kysely<Db>): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db);
  const now = rows[0]?.now;
  if (now === undefined) throw new Error("the database did not tell its time");
  return now;
}

/** How many hosts there are of each platform that a host has; archived ones count nowhere. */
export async function countPlatforms(db: Kysely<Db>): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom("hosts")
    .select(["os", "arch", (one) => one.fn.countAll<bigint>().as("hosts")])
    .where("removed_at", "is", null)
    .where("archived_at", "is", null)
    .groupBy(["os", "arch"])
    .execute();
  return new Map(rows.map((row) => [platformOf(row), Number(row.hosts)]));
}

/** The files of a release, as they were imported. *Shape*: by platform; `sha256` in lower-case hex. */
export async function listArtifactFiles(db: Kysely<Db>, packageName: string, version: string) {
  const rows = await db
    .selectFrom("release_artifacts")
    .select(["platform", "file_name", "sha256"])
    .where("package", "=", packageName)
    .where("version", "=", version)
    .orderBy("platform")
    .execute();
  return rows.map((row) => ({ platform: row.platform, fileName: row.file_name, sha256: row.sha256 }));
}

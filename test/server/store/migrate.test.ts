import { sql, type Kysely } from "kysely";
import type { Migration } from "kysely/migration";
import { expect, test } from "vitest";
import { migrate, SchemaTooNewError } from "../../../server/store/migrate.ts";
import { migrations } from "../../../server/store/migrations/all.ts";
import type { Db } from "../../../server/store/schema.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

const names = Object.keys(migrations);

async function createEmptyDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await sql`drop schema public cascade`.execute(database.ownerDb);
  await sql`create schema public`.execute(database.ownerDb);
  return database;
}

async function tablesOf(db: Kysely<Db>): Promise<readonly unknown[]> {
  const { rows } = await sql<{
    name: string;
  }>`select tablename as name from pg_tables where schemaname = 'public' order by 1`.execute(db);
  return rows.map(({ name }) => name);
}

test("an empty database gets every migration once", async () => {
  await using database = await createEmptyDatabase();
  expect(await migrate(database.ownerDb, migrations)).toEqual(names);
  expect(await tablesOf(database.ownerDb)).toContain("jobs");
  expect(await migrate(database.ownerDb, migrations)).toEqual([]);
});

test("of two servers that migrate at once one does it and both succeed", async () => {
  await using database = await createEmptyDatabase();
  const done = await Promise.all([migrate(database.ownerDb, migrations), migrate(database.ownerDb, migrations)]);
  expect(done.flat()).toEqual(names);
});

test("a database that a newer server migrated is refused and left as it was", async () => {
  await using database = await createTestDatabase();
  const newer: Migration = { up: async (db) => void (await sql`create table of_the_future (id int)`.execute(db)) };
  await migrate(database.ownerDb, { ...migrations, "9999-future": newer });
  const before = await tablesOf(database.ownerDb);
  const refusal = migrate(database.ownerDb, migrations);
  await expect(refusal).rejects.toThrow(SchemaTooNewError);
  await expect(refusal).rejects.toThrow(/migrated by a newer server \(9999-future\)/);
  expect(await tablesOf(database.ownerDb)).toEqual(before);
});

test("a migration that fails is undone, with those that ran before it, and named", async () => {
  await using database = await createEmptyDatabase();
  const broken: Migration = {
    up: async (db) => {
      await sql`create table half_done (id int)`.execute(db);
      await sql`select 1/0`.execute(db);
    },
  };
  await expect(migrate(database.ownerDb, { ...migrations, "9999-broken": broken })).rejects.toThrow(
    /migration 9999-broken failed/,
  );
  const left = await tablesOf(database.ownerDb);
  expect(left).not.toContain("half_done");
  expect(left).not.toContain("jobs");
});

test("a job from before artifacts were noted is given the one of its host's platform", async () => {
  await using database = await createEmptyDatabase();
  const { ownerDb } = database;
  await migrate(ownerDb, Object.fromEntries(Object.entries(migrations).filter(([name]) => name < "0007")));
  const statements = [
    `insert into hosts (id, hostname, os, arch, packages, offline_at)
      select gen_random_uuid(), arch, 'linux', arch, '[]', now() from unnest(array['x64', 'arm64']) as arch`,
    `insert into releases (package, version, sequence, manifest, manifest_sha256, signature)
      values ('rollcall-agent', '2', 2, '', '\\x02', '')`,
    `insert into release_artifacts (package, version, platform, file_name, size_bytes, sha256, block_size_bytes, block_list)
      select 'rollcall-agent', '2', platform, 'a', 1, 'of ' || platform, 1, ''
      from unnest(array['linux-x64', 'linux-arm64']) as platform`,
    `insert into jobs (id, host_id, kind, package, from_version, to_version, manifest_sha256, state, requested_by,
        ended_at, last_deadline_at)
      select gen_random_uuid(), id, 'update', 'rollcall-agent', '1', version, manifest, 'succeeded', 'test', now(), now()
      from hosts, (values ('2', '\\x02'::bytea), ('removed', '\\x01')) as release (version, manifest)`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(ownerDb);
  await migrate(ownerDb, migrations);
  const { rows } = await sql<{ fact: string }>`
    select concat_ws(' ', hostname, to_version, artifact_sha256) as fact
    from jobs join hosts on hosts.id = jobs.host_id order by 1
  `.execute(ownerDb);
  expect(rows.map(({ fact }) => fact)).toEqual([
    "arm64 2 of linux-arm64",
    "arm64 removed",
    "x64 2 of linux-x64",
    "x64 removed",
  ]);
});

import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { HostId } from "../../../server/domain/ids.ts";
import { countHosts, insertHost, removeHost } from "../../../server/store/hosts.ts";
import { createTestDatabase } from "../../support/test-database.ts";

test("hosts that update are those with an open job, and a removed host is none of them", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  const [updating, removed, updated] = [randomUUID(), randomUUID(), randomUUID()] as HostId[];
  for (const [id, state] of [
    [updating, "downloading"],
    [removed, "staged"],
    [updated, "succeeded"],
  ] as const) {
    if (id === undefined) continue;
    await insertHost(db, { id, hostname: state, os: "linux", arch: "x64" });
    await sql`insert into jobs (id, host_id, kind, package, from_version, to_version, manifest_sha256, state,
                requested_by, ended_at, deadline_at, last_deadline_at)
              values (gen_random_uuid(), ${id}, 'update', 'rollcall-agent', '1', '2', '', ${state}, 'test',
                case when ${state}::text = 'succeeded' then clock_timestamp() end,
                case when ${state}::text <> 'succeeded' then clock_timestamp() end, clock_timestamp())`.execute(db);
  }
  expect(await countHosts(db)).toMatchObject({ total: 3, updating: 2 });
  if (removed !== undefined) await db.transaction().execute((tx) => removeHost(tx, removed));
  expect(await countHosts(db)).toMatchObject({ total: 2, updating: 1 });
});

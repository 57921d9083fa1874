import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { HostId } from "../../../server/domain/ids.ts";
import { editLabels, type Labels } from "../../../server/domain/labels.ts";
import { chooseBehind, chooseHosts } from "../../../server/store/choose-hosts.ts";
import { hasLabels, replaceLabels } from "../../../server/store/host-labels.ts";
import { insertHost, listHosts } from "../../../server/store/hosts.ts";
import { createTestDatabase } from "../../support/test-database.ts";

const label = fc.record({ key: fc.constantFrom("site", "role", "rack"), value: fc.constantFrom("a", "b") });
const labelSet = fc
  .uniqueArray(label, { selector: ({ key }) => key })
  .map((set) => editLabels([], { set, remove: [] }));

function hasAll(labels: Labels, wanted: Labels): boolean {
  return wanted.every((one) => labels.some(({ key, value }) => key === one.key && value === one.value));
}

test("a selector finds the hosts that have all of its labels, in every question alike", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  await fc.assert(
    fc.asyncProperty(fc.array(labelSet, { minLength: 1, maxLength: 6 }), labelSet, async (sets, wanted) => {
      await db.deleteFrom("hosts").execute();
      const hosts = sets.map((labels, index) => ({ id: randomUUID() as HostId, hostname: `host-${index}`, labels }));
      for (const { labels, ...host } of hosts) {
        await insertHost(db, { ...host, os: "linux", arch: "x64" });
        await replaceLabels(db, host.id, labels);
      }
      await sql`update hosts set offline_at = null, agent_version = '1.0.0'`.execute(db);
      const listed = await listHosts(db, { labels: wanted, limit: 100 });
      const matching = hosts.filter(({ labels }) => hasAll(labels, wanted));
      expect(listed.map(({ id, labels }) => ({ id, labels }))).toEqual(
        matching.map(({ id, labels }) => ({ id, labels })),
      );
      const ids = matching.map(({ id }) => id);
      await db.transaction().execute(async (tx) => {
        expect((await chooseBehind(tx, "2.0.0", wanted)).map(({ hostId }) => hostId)).toEqual(ids);
        const reversed = hosts.map(({ id }) => id).toReversed();
        const chosen = await chooseHosts(tx, reversed, wanted);
        expect(chosen.map(({ hostId }) => hostId)).toEqual(ids.toReversed());
      });
    }),
    { numRuns: 25 },
  );
});

test("among 10,000 hosts a selector's hosts are found by their index, without looking at the others", async () => {
  await using database = await createTestDatabase();
  const { db } = database;
  await sql`
    insert into hosts (id, hostname, os, arch) select gen_random_uuid(), 'host-' || n, 'linux', 'x64'
    from generate_series(1, 10000) as n
  `.execute(db);
  await sql`
    insert into host_labels (host_id, key, value)
    select id, 'site', 'site-' || (substring(hostname from 6)::integer % 200) from hosts
    union all select id, 'role', 'web' from hosts
  `.execute(db);
  await sql`analyze hosts, host_labels`.execute(database.ownerDb);
  const wanted: Labels = [
    { key: "role", value: "web" },
    { key: "site", value: "site-7" },
  ];
  expect(await listHosts(db, { labels: wanted, limit: 1000 })).toHaveLength(50);
  const { rows } = await sql<{ "QUERY PLAN": string }>`
    explain select id from hosts where ${hasLabels([{ key: "site", value: "site-7" }])}`.execute(db);
  expect(rows.map((row) => row["QUERY PLAN"]).join("\n")).toContain("host_labels_by_label");
});

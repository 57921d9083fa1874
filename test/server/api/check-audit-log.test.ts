import { sql } from "kysely";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { accountsOf } from "../../support/account-client.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { openResources } from "../stream/open-resources.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ auditSealIntervalMs: 50 });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

const newestId = async () =>
  (await plane.database.db.selectFrom("audit_events").select("id").orderBy("id", "desc").executeTakeFirstOrThrow()).id;

test("a server seals what it writes, tells the newest seal, and names the first that was tampered with", async () => {
  const accounts = accountsOf(plane.web, plane.adminToken);
  await plane.fleet.createEnrollmentToken({ label: "audited" });
  const head = await vi.waitUntil(async () => {
    const answer = await accounts.checkAuditLog({});
    return answer.head?.toId === (await newestId()) ? answer.head : undefined;
  });
  expect(head.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(plane.log.join("\n")).toContain("audit log sealed");
  expect(await accounts.checkAuditLog({ knownDigest: head.digest })).toMatchObject({ knownDigestFound: true });
  expect(await accounts.checkAuditLog({ knownDigest: "00" })).toMatchObject({ knownDigestFound: false });

  await sql`alter table audit_events disable trigger user`.execute(plane.database.ownerDb);
  await sql`update audit_events set actor = 'nobody' where id = ${head.toId}`.execute(plane.database.ownerDb);
  const { firstBroken } = await accounts.checkAuditLog({});
  expect(firstBroken).toMatchObject({ fromId: head.fromId, toId: head.toId });
});

import { sql } from "kysely";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import type { AccountStore } from "../../../server/account/ports.ts";
import { SESSION_LIFE } from "../../../server/account/session-life.ts";
import { UserDesk } from "../../../server/account/user-desk.ts";
import { systemRandom as random } from "../../../server/clock-system.ts";
import type { Caller } from "../../../server/domain/caller.ts";
import { createAccountStore } from "../../../server/store/account-store.ts";
import { addUser } from "../../support/account-fixture.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";
import { openResources } from "../stream/open-resources.ts";

const CALLER: Caller = { kind: "file_token", name: "admin-token", role: Role.ADMIN };

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

/** A store in which whoever has read the admins goes on only when told. */
function pausing(store: AccountStore, readAdmins: () => Promise<void>): AccountStore {
  return {
    ...store,
    transaction: (work) =>
      store.transaction((tx) =>
        work({
          ...tx,
          listAdmins: async () => {
            const admins = await tx.listAdmins();
            await readAdmins();
            return admins;
          },
        }),
      ),
  };
}

test("of two admins who are demoted at the same moment one stays, whoever was first", async () => {
  const [one, two] = await Promise.all([addUser(database, "one", "admin"), addUser(database, "two", "admin")]);
  let readers = 0;
  const goOn = Promise.withResolvers<void>();
  const desk = new UserDesk({
    store: pausing(createAccountStore(database.db, SESSION_LIFE.idleMs), async () => {
      readers += 1;
      await goOn.promise;
    }),
    random,
    rightsChanged: () => undefined,
  });
  const demoting = Promise.allSettled([desk.setRole(CALLER, one, "viewer"), desk.setDisabled(CALLER, two, true)]);
  // Either both have read that there are two, or one waits for the other.
  await vi.waitFor(async () => {
    const waiting = await sql<{ count: bigint }>`
      select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())
    `.execute(database.ownerDb);
    expect(readers + Number(waiting.rows[0]?.count)).toBe(2);
  });
  goOn.resolve();
  const outcomes = await demoting;
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(outcomes.find((outcome) => outcome.status === "rejected")?.reason).toMatchObject({ reason: "last_admin" });
  const left = (await desk.listUsers({ limit: 10 })).filter((user) => user.role === "admin" && !user.isDisabled);
  expect(left).toHaveLength(1);
});

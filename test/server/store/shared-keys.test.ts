import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig } from "../../../server/config.ts";
import { agreeOnAuthority } from "../../../server/shared-keys.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database[Symbol.asyncDispose]());

/** A server starts with these authorities, the issuer first. */
function start(authorities: readonly string[], rollover?: "announce" | "switch"): Promise<void> {
  const config = readConfig([], { ROLLCALL_DATA_DIR: "/data", ROLLCALL_AUTHORITY_ROLLOVER: rollover });
  return agreeOnAuthority(database.db, config, authorities);
}

describe("the agents' authority, as the servers of a database share it", () => {
  test("is replaced by the one that was announced, one server after the other, and never by a stranger", async () => {
    await start(["old"]);
    await start(["old", "new"], "announce");
    await expect(start(["old", "another"], "announce")).rejects.toThrow("next-ca.crt is not that of the other servers");
    await start(["new", "old"], "switch");
    // Servers that are switched later, or not started again yet.
    await start(["old", "new"], "announce");
    await start(["new", "old"], "switch");
    await start(["new"]);
    await expect(start(["old"])).rejects.toThrow("ca.crt is not that of the other servers");
  });

  test("may be replaced again", async () => {
    await start(["one", "two"], "announce");
    await start(["two", "one"], "switch");
    await start(["two"]);
    await start(["two", "three"], "announce");
    await start(["three", "two"], "switch");
    await start(["three"]);
  });

  test("may stay after all", async () => {
    await start(["old", "new"], "announce");
    await start(["new", "old"], "switch");
    await start(["old", "new"], "announce");
    await start(["old"]);
  });
});

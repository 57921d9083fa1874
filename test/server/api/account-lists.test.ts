import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { InvalidFieldSchema } from "../../../gen/rollcall/v1/model_pb.js";
import { accountsOf } from "../../support/account-client.ts";
import { addApiToken, addSession, addUser } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf } from "../../support/refusal-of.ts";
import { signIn } from "../../support/signed-in.ts";
import { openResources } from "../stream/open-resources.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

const admin = () => accountsOf(plane.web, plane.adminToken);

/** Every entry of a list, read two at a time; `between` happens after each page. */
async function readByTwos<Entry>(
  list: (part: { pageSize: number; pageToken: string }) => Promise<readonly [readonly Entry[], string]>,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<readonly Entry[]> {
  const read: Entry[] = [];
  let pageToken = "";
  do {
    const [entries, next] = await list({ pageSize: 2, pageToken });
    expect(entries.length).toBeLessThanOrEqual(2);
    read.push(...entries);
    pageToken = next;
    await between();
  } while (pageToken !== "");
  return read;
}

describe("users", () => {
  test("come in pages by name however it is capitalised, each once, also while others are added", async () => {
    for (const name of ["delta", "Bravo", "alpha", "Charlie", "echo"]) await addUser(plane.database, name, "viewer");
    const late = ["a-late", "a-later", "a-still-later", "a-last"].values();
    const users = await readByTwos(
      async (part) => {
        const answer = await admin().listUsers(part);
        return [answer.users, answer.nextPageToken];
      },
      // By name they come before whatever is on the next page.
      () => addUser(plane.database, late.next().value ?? "", "viewer"),
    );
    expect(users.map(({ username }) => username)).toEqual(["alpha", "Bravo", "Charlie", "delta", "echo"]);
  });
});

describe("sessions", () => {
  test("come in pages, newest first, each once, those of one instant too, also while others begin and end", async () => {
    const { userId, browser, sessionId } = await signIn(plane, "paged-sessions", "viewer");
    const ids = [sessionId];
    for (let count = 0; count < 6; count += 1) ids.push((await addSession(plane.database, userId)).id);
    await plane.database.db
      .updateTable("user_sessions")
      .set({ created_at: new Date("2026-01-01T00:00:00.123Z") })
      .where("id", "in", ids.slice(1, 5))
      .execute();
    const expected = await plane.database.db
      .selectFrom("user_sessions")
      .select("id")
      .where("user_id", "=", userId)
      .orderBy("created_at", "desc")
      .orderBy("id", "desc")
      .execute();
    const sessions = await readByTwos(
      async (part) => {
        const answer = await browser.accounts.listSessions(part);
        return [answer.sessions, answer.nextPageToken];
      },
      () => addSession(plane.database, userId),
    );
    expect(sessions.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
    expect(sessions.filter(({ current }) => current).map(({ id }) => id)).toEqual([sessionId]);
  });

  test("that were made within one millisecond are all on some page", async () => {
    const userId = await addUser(plane.database, "same-millisecond", "viewer");
    const ids = await Promise.all(Array.from({ length: 4 }, () => addSession(plane.database, userId)));
    for (const [index, { id }] of ids.entries()) {
      await plane.database.db
        .updateTable("user_sessions")
        .set({
          created_at: sql<Date>`timestamptz '2026-01-01T00:00:00.123Z' + ${index * 100} * interval '1 microsecond'`,
        })
        .where("id", "=", id)
        .execute();
    }
    const sessions = await readByTwos(async (part) => {
      const answer = await admin().listSessions({ userId, ...part });
      return [answer.sessions, answer.nextPageToken];
    });
    expect(new Set(sessions.map(({ id }) => id)).size).toBe(4);
  });
});

describe("API tokens", () => {
  test("come in pages, newest first, each once, also while others are made", async () => {
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) ids.unshift((await addApiToken(plane.database, "viewer")).id);
    const tokens = await readByTwos(
      async (part) => {
        const answer = await admin().listApiTokens(part);
        return [answer.apiTokens, answer.nextPageToken];
      },
      () => addApiToken(plane.database, "viewer"),
    );
    expect(new Set(tokens.map(({ id }) => id))).toEqual(new Set(ids));
    expect(tokens).toHaveLength(ids.length);
    const instants = tokens.map(({ createdAt }) => Number(createdAt?.seconds) * 1e9 + (createdAt?.nanos ?? 0));
    expect(instants).toEqual(instants.toSorted((one, other) => other - one));
  });
});

describe("a page token", () => {
  const encode = (...parts: readonly unknown[]) => Buffer.from(JSON.stringify(parts)).toString("base64url");
  const ID = "00000000-0000-4000-8000-0000000000aa";

  test.each([
    ["is made up", "abc"],
    ["holds a number", encode(7)],
    ["holds a NUL", encode("a\u0000")],
    ["is another list's", encode("2026-01-01T00:00:00.000Z", ID)],
  ])("that %s is refused by users", async (_what, pageToken) => {
    const error = await failureOf(admin().listUsers({ pageToken }));
    expect(error.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field: "pageToken" });
  });

  test.each([
    ["is made up", "abc"],
    ["is another list's", encode("somebody")],
    ["names an instant of no calendar", encode("2026-13-45T00:00:00.000Z", ID)],
    ["names an instant that the database does not know", encode("-271820-01-01T00:00:00.000Z", ID)],
    ["names no id", encode("2026-01-01T00:00:00.000Z", "x")],
  ])("that %s is refused by sessions and by API tokens", async (_what, pageToken) => {
    const userId = (await admin().listUsers({ pageSize: 1 })).users[0]?.id ?? "";
    for (const call of [admin().listSessions({ userId, pageToken }), admin().listApiTokens({ pageToken })]) {
      const error = await failureOf(call);
      expect(error.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field: "pageToken" });
    }
  });
});

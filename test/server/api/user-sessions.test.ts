import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { accountsOf, accountsWith, Browser } from "../../support/account-client.ts";
import { addSession, addUser, PASSWORD } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf, refusalOf } from "../../support/refusal-of.ts";
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
const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call))?.reason;

describe("a session", () => {
  test("is a cookie that no script reads and no other site sends, new at each login", async () => {
    await addUser(plane.database, "cookie", "viewer");
    const browser = new Browser(plane.web);
    await browser.accounts.login({ username: "cookie", password: PASSWORD });
    const first = browser.cookie;
    expect(browser.cookiesSet[0]).toMatch(
      /^rollcall_session=rc_session_[\w-]{43}; Path=\/; Max-Age=60(?:4800|47\d\d); HttpOnly; SameSite=Strict$/,
    );
    await browser.accounts.login({ username: "cookie", password: PASSWORD });
    expect(browser.cookie).not.toBe(first);
    expect((await browser.accounts.listSessions({})).sessions).toHaveLength(1);
    await browser.accounts.logout({});
    expect(browser.cookie).toBeUndefined();
    expect(browser.cookiesSet.at(-1)).toMatch(/^rollcall_session=; Path=\/; Max-Age=0; /);
    browser.cookie = first;
    expect((await failureOf(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
  });

  test("is stored as a hash only", async () => {
    const { secret } = await addSession(plane.database, await addUser(plane.database, "hashed", "viewer"));
    const rows = await plane.database.db.selectFrom("user_sessions").selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(rows.some((row) => row.secret_sha256.includes(secret))).toBe(false);
  });

  test.each([
    ["12 hours idle", { last_used_at: 12 * 3_600_000 + 1000 }],
    ["a week old", { expires_at: 1000 }],
  ])("that is %s has ended", async (_what, agesMs) => {
    const { browser, sessionId } = await signIn(plane, `old-${Object.keys(agesMs)[0]?.replaceAll("_", "-")}`, "viewer");
    await browser.fleet.listHosts({});
    for (const [column, ageMs] of Object.entries(agesMs)) {
      await plane.database.db
        .updateTable("user_sessions")
        .set({ [column]: new Date(Date.now() - ageMs) })
        .where("id", "=", sessionId)
        .execute();
    }
    expect((await failureOf(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    // A browser that still carries it can sign in all the same.
    await expect(browser.accounts.login({ username: "nobody", password: "x" })).rejects.toThrow(/name or the password/);
  });

  test("counts with this server's own page only", async () => {
    const { userId } = await signIn(plane, "paged", "admin");
    const { secret } = await addSession(plane.database, userId);
    const cookie = `rollcall_session=${secret}`;
    const call = async (headers: Record<string, string>) => {
      const response = await fetch(`${plane.web}/rollcall.v1.FleetService/ListHosts`, {
        method: "POST",
        headers: { "content-type": "application/json", cookie, ...headers },
        body: "{}",
      });
      await response.text();
      return response.status;
    };
    const port = Number(new URL(plane.web).port);
    expect(await call({ origin: plane.web })).toBe(200);
    expect(await call({ "sec-fetch-site": "same-origin" })).toBe(200);
    expect(await call({})).toBe(403);
    expect(await call({ origin: "null" })).toBe(403);
    expect(await call({ origin: `http://127.0.0.1:${port + 1}` })).toBe(403);
    expect(await call({ origin: `http://localhost:${port}` })).toBe(403);
    expect(await call({ origin: "https://evil.example" })).toBe(403);
    expect(await call({ "sec-fetch-site": "same-site" })).toBe(403);
    expect(await call({ "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await call({ "sec-fetch-site": "none" })).toBe(403);
    expect(await call({ origin: plane.web, cookie: `${cookie}; ${cookie}` })).toBe(401);
  });

  test("does not count over gRPC", async () => {
    const { secret } = await addSession(plane.database, await addUser(plane.database, "grpc-cookie", "admin"));
    const transport = createGrpcTransport({
      baseUrl: plane.web,
      interceptors: [
        (next) => (request) => {
          request.header.set("cookie", `rollcall_session=${secret}`);
          request.header.set("origin", plane.web);
          return next(request);
        },
      ],
    });
    const error = await failureOf(createClient(FleetService, transport).listHosts({}));
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: expect.stringContaining("send a token") as string,
    });
  });

  test("of one's own is listed and revoked; that of another is as good as unknown", async () => {
    const mine = await signIn(plane, "mine", "viewer");
    const other = await signIn(plane, "other", "viewer");
    const { sessions } = await mine.browser.accounts.listSessions({});
    expect(sessions).toMatchObject([{ id: mine.sessionId, current: true, userId: mine.userId }]);
    expect(await reasonOf(mine.browser.accounts.listSessions({ userId: other.userId }))).toBe(
      Refusal_Reason.USER_UNKNOWN,
    );
    expect(await reasonOf(mine.browser.accounts.revokeSession({ sessionId: other.sessionId }))).toBe(
      Refusal_Reason.SESSION_UNKNOWN,
    );
    await other.browser.fleet.listHosts({});
    await mine.browser.accounts.revokeSession({ sessionId: mine.sessionId });
    expect((await failureOf(mine.browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    expect((await admin().listSessions({ userId: other.userId })).sessions).toHaveLength(1);
    await admin().revokeSession({ sessionId: other.sessionId });
    expect((await failureOf(other.browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
  });
});

describe("a page of another site", () => {
  test("is refused what it asks for with a token, and without", async () => {
    const foreign = { origin: "https://evil.example" };
    const program = accountsWith(plane.web, () => ({ authorization: `Bearer ${plane.adminToken}`, ...foreign }));
    expect((await failureOf(program.listUsers({}))).code).toBe(Code.PermissionDenied);
    const stranger = accountsWith(plane.web, () => foreign);
    expect((await failureOf(stranger.login({ username: "x", password: "x" }))).code).toBe(Code.PermissionDenied);
  });
});

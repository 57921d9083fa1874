import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { InvalidFieldSchema, Refusal_Reason, RefusalSchema } from "../../../gen/rollcall/v1/model_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { accountsOf, accountsWith, Browser } from "../../support/account-client.ts";
import { addApiToken, addSession, addUser, PASSWORD } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { openResources } from "../stream/open-resources.ts";

const NOBODY = "00000000-0000-4000-8000-0000000000aa";

let plane: ControlPlane;
let setupUrl: string;
let setupFileMode: number;
beforeAll(async () => {
  plane = await startControlPlane();
  const path = join(plane.dataDir, "setup-link");
  setupUrl = (await readFile(path, "utf8")).trim();
  setupFileMode = (await stat(path)).mode & 0o777;
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

const admin = () => accountsOf(plane.web, plane.adminToken);

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  const reason: unknown = await call.then(
    () => new Error("the call succeeded"),
    (error: unknown) => error,
  );
  if (reason instanceof ConnectError) return reason;
  throw reason;
}

async function refusal(call: Promise<unknown>): Promise<Refusal_Reason | undefined> {
  return (await failure(call)).findDetails(RefusalSchema)[0]?.reason;
}

async function signedIn(username: string, role: "viewer" | "operator" | "admin") {
  const userId = await addUser(plane.database, username, role);
  const session = await addSession(plane.database, userId);
  const browser = new Browser(plane.web);
  browser.cookie = `rollcall_session=${session.secret}`;
  return { userId, browser, sessionId: session.id };
}

const actions = async (): Promise<readonly string[]> =>
  (await plane.database.db.selectFrom("audit_events").select("action").orderBy("id").execute()).map(
    (row) => row.action,
  );

describe("the first start", () => {
  test("writes a link to a file of its own user, its secret in the fragment, and not into the log", () => {
    expect(setupUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/setup#rc_setup_[A-Za-z0-9_-]{43}$/);
    expect(setupFileMode).toBe(0o600);
    expect(plane.log.join("\n")).not.toContain("rc_setup_");
  });

  test("lets the first of many who open the link become admin, and nobody else", async () => {
    const [, token = ""] = setupUrl.split("#");
    expect(await admin().getSetup({ token })).toMatchObject({ username: "" });
    expect((await failure(new Browser(plane.web).accounts.completeSetup({ token, password: PASSWORD }))).code).toBe(
      Code.InvalidArgument,
    );
    const browsers = Array.from({ length: 5 }, () => new Browser(plane.web));
    const outcomes = await Promise.allSettled(
      browsers.map((browser, index) =>
        browser.accounts.completeSetup({ token, username: `first${index}`, password: PASSWORD }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const { users } = await admin().listUsers({});
    expect(users).toMatchObject([{ role: Role.ADMIN, setUp: true, disabled: false, createdBy: "setup-link" }]);
    expect(await refusal(admin().getSetup({ token }))).toBe(Refusal_Reason.SETUP_LINK_INVALID);
    await expect(readFile(join(plane.dataDir, "setup-link"))).rejects.toThrow(/ENOENT/);
    const winner = browsers.find((browser) => browser.cookie !== undefined);
    expect(await winner?.accounts.getCurrentUser({})).toMatchObject({ role: Role.ADMIN, session: { current: true } });
  });
});

describe("a user", () => {
  test("is made with a link, sets a password by it once, and signs in with that", async () => {
    const made = await admin().createUser({ username: "Olga", role: Role.OPERATOR });
    expect(made.user).toMatchObject({ username: "Olga", role: Role.OPERATOR, setUp: false, createdBy: "admin-token" });
    const token = made.setupLink?.url.split("#")[1] ?? "";
    expect(made.setupLink?.url).toBe(`${plane.web}/setup#${token}`);
    const browser = new Browser(plane.web);
    expect((await failure(browser.accounts.login({ username: "Olga", password: PASSWORD }))).code).toBe(
      Code.Unauthenticated,
    );
    await browser.accounts.completeSetup({ token, password: PASSWORD });
    expect(await browser.accounts.getCurrentUser({})).toMatchObject({ name: "Olga", role: Role.OPERATOR });
    expect(await refusal(browser.accounts.completeSetup({ token, password: PASSWORD }))).toBe(
      Refusal_Reason.SETUP_LINK_INVALID,
    );
    await new Browser(plane.web).accounts.login({ username: "olga", password: PASSWORD });
  });

  test("can't have a name that another has in other letters", async () => {
    await addUser(plane.database, "Petra", "viewer");
    expect(await refusal(admin().createUser({ username: "PETRA", role: Role.VIEWER }))).toBe(
      Refusal_Reason.USERNAME_TAKEN,
    );
  });

  test("whose link is an hour old needs a new one, and a new one voids the old", async () => {
    const { user, setupLink } = await admin().createUser({ username: "late", role: Role.VIEWER });
    const userId = user?.id ?? "";
    const [, first = ""] = setupLink?.url.split("#") ?? [];
    const again = await admin().resetUser({ userId });
    const [, second = ""] = again.setupLink?.url.split("#") ?? [];
    expect(await refusal(admin().getSetup({ token: first }))).toBe(Refusal_Reason.SETUP_LINK_INVALID);
    expect(await admin().getSetup({ token: second })).toMatchObject({ username: "late" });
    await plane.database.db
      .updateTable("setup_links")
      .set({ expires_at: new Date(Date.now() - 1000) })
      .execute();
    expect(await refusal(new Browser(plane.web).accounts.completeSetup({ token: second, password: PASSWORD }))).toBe(
      Refusal_Reason.SETUP_LINK_INVALID,
    );
  });

  test("that is disabled is out at once and gets the words of a wrong password", async () => {
    const { userId, browser } = await signedIn("disabled", "viewer");
    await browser.fleet.listHosts({});
    await admin().disableUser({ userId });
    expect((await failure(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    const right = await failure(new Browser(plane.web).accounts.login({ username: "disabled", password: PASSWORD }));
    const wrong = await failure(new Browser(plane.web).accounts.login({ username: "disabled", password: "x" }));
    const unknown = await failure(new Browser(plane.web).accounts.login({ username: "no-such", password: "x" }));
    expect(new Set([right.message, wrong.message, unknown.message]).size).toBe(1);
    await admin().enableUser({ userId });
    expect((await failure(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    await new Browser(plane.web).accounts.login({ username: "disabled", password: PASSWORD });
  });

  test("that is reset loses password and sessions", async () => {
    const { userId, browser } = await signedIn("forgetful", "viewer");
    await admin().resetUser({ userId });
    expect((await failure(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    expect(await refusal(new Browser(plane.web).accounts.login({ username: "forgetful", password: PASSWORD }))).toBe(
      Refusal_Reason.LOGIN_FAILED,
    );
  });

  test("changes their own password: other sessions end, this one gets a new cookie", async () => {
    const { userId, browser } = await signedIn("changer", "viewer");
    const elsewhere = new Browser(plane.web);
    elsewhere.cookie = `rollcall_session=${(await addSession(plane.database, userId)).secret}`;
    const former = browser.cookie;
    const wrong = await failure(
      browser.accounts.changePassword({ currentPassword: "wrong", newPassword: "another good one" }),
    );
    expect(wrong.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field: "currentPassword" });
    await browser.accounts.changePassword({ currentPassword: PASSWORD, newPassword: "another good one" });
    expect(browser.cookie).not.toBe(former);
    await browser.fleet.listHosts({});
    expect((await failure(elsewhere.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    browser.cookie = former;
    expect((await failure(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    await new Browser(plane.web).accounts.login({ username: "changer", password: "another good one" });
  });
});

describe("a session", () => {
  test("is a cookie that no script reads and no other site sends, new at each login", async () => {
    await addUser(plane.database, "cookie", "viewer");
    const browser = new Browser(plane.web);
    await browser.accounts.login({ username: "cookie", password: PASSWORD });
    const first = browser.cookie;
    expect(browser.cookiesSet[0]).toMatch(
      /^rollcall_session=rc_session_[\w-]{43}; Path=\/; Max-Age=604800; HttpOnly; SameSite=Strict$/,
    );
    await browser.accounts.login({ username: "cookie", password: PASSWORD });
    expect(browser.cookie).not.toBe(first);
    expect((await browser.accounts.listSessions({})).sessions).toHaveLength(1);
    await browser.accounts.logout({});
    expect(browser.cookie).toBeUndefined();
    expect(browser.cookiesSet.at(-1)).toMatch(/^rollcall_session=; Path=\/; Max-Age=0; /);
    browser.cookie = first;
    expect((await failure(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
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
    const { browser, sessionId } = await signedIn(`old-${Object.keys(agesMs)[0]?.replaceAll("_", "-")}`, "viewer");
    await browser.fleet.listHosts({});
    for (const [column, ageMs] of Object.entries(agesMs)) {
      await plane.database.db
        .updateTable("user_sessions")
        .set({ [column]: new Date(Date.now() - ageMs) })
        .where("id", "=", sessionId)
        .execute();
    }
    expect((await failure(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    // A browser that still carries it can sign in all the same.
    await expect(browser.accounts.login({ username: "nobody", password: "x" })).rejects.toThrow(/name or the password/);
  });

  test("counts with this server's own page only", async () => {
    const { userId } = await signedIn("paged", "admin");
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
    const error = await failure(createClient(FleetService, transport).listHosts({}));
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: expect.stringContaining("send a token") as string,
    });
  });

  test("of one's own is listed and revoked; that of another is as good as unknown", async () => {
    const mine = await signedIn("mine", "viewer");
    const other = await signedIn("other", "viewer");
    const { sessions } = await mine.browser.accounts.listSessions({});
    expect(sessions).toMatchObject([{ id: mine.sessionId, current: true, userId: mine.userId }]);
    expect(await refusal(mine.browser.accounts.listSessions({ userId: other.userId }))).toBe(
      Refusal_Reason.USER_UNKNOWN,
    );
    expect(await refusal(mine.browser.accounts.revokeSession({ sessionId: other.sessionId }))).toBe(
      Refusal_Reason.SESSION_UNKNOWN,
    );
    await other.browser.fleet.listHosts({});
    await mine.browser.accounts.revokeSession({ sessionId: mine.sessionId });
    expect((await failure(mine.browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    expect((await admin().listSessions({ userId: other.userId })).sessions).toHaveLength(1);
    await admin().revokeSession({ sessionId: other.sessionId });
    expect((await failure(other.browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
  });
});

describe("the last admin", () => {
  test("can't be demoted or disabled, whatever other admins can't sign in; two can't demote each other", async () => {
    // Only the two of this test count: everybody else steps back first.
    const others = (await admin().listUsers({})).users.filter((user) => user.role === Role.ADMIN);
    const one = await signedIn("admin-one", "admin");
    const two = await signedIn("admin-two", "admin");
    for (const user of others) await admin().setUserRole({ userId: user.id, role: Role.VIEWER });
    await admin().createUser({ username: "admin-not-set-up", role: Role.ADMIN });

    const outcomes = await Promise.allSettled([
      one.browser.accounts.setUserRole({ userId: two.userId, role: Role.VIEWER }),
      two.browser.accounts.disableUser({ userId: one.userId }),
      admin().setUserRole({ userId: one.userId, role: Role.OPERATOR }),
      admin().disableUser({ userId: two.userId }),
    ]);
    expect(outcomes.some(({ status }) => status === "rejected")).toBe(true);
    const { users } = await admin().listUsers({});
    const left = users.filter((user) => user.role === Role.ADMIN && user.setUp && !user.disabled);
    expect(left).toHaveLength(1);
    const [last] = left;
    const userId = last?.id ?? "";
    expect(await refusal(admin().disableUser({ userId }))).toBe(Refusal_Reason.LAST_ADMIN);
    expect(await refusal(admin().setUserRole({ userId, role: Role.OPERATOR }))).toBe(Refusal_Reason.LAST_ADMIN);
    await admin().setUserRole({ userId, role: Role.ADMIN });
  });
});

describe("an API token", () => {
  test("is shown once, stored as a hash, listed, used with its role, and revoked for ever", async () => {
    const { browser } = await signedIn("tokens", "admin");
    const { apiToken, secret } = await browser.accounts.createApiToken({ label: "ci deploy", role: Role.VIEWER });
    expect(secret).toMatch(/^rc_api_[A-Za-z0-9_-]{43}$/);
    expect(apiToken).toMatchObject({ label: "ci deploy", role: Role.VIEWER, createdBy: "tokens" });
    const program = accountsOf(plane.web, secret);
    expect(await program.getCurrentUser({})).toMatchObject({ name: "token:ci deploy", role: Role.VIEWER });
    expect((await failure(program.listUsers({}))).code).toBe(Code.PermissionDenied);
    expect(await refusal(program.changePassword({ currentPassword: PASSWORD, newPassword: "another good one" }))).toBe(
      Refusal_Reason.NOT_A_USER,
    );
    const { apiTokens } = await browser.accounts.listApiTokens({});
    expect(
      JSON.stringify(apiTokens, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value)),
    ).not.toContain(secret);
    expect(apiTokens.find(({ id }) => id === apiToken?.id)?.lastUsedAt).toBeDefined();
    const revoked = await browser.accounts.revokeApiToken({ apiTokenId: apiToken?.id ?? "" });
    expect(revoked.apiToken?.revokedAt).toBeDefined();
    const again = await browser.accounts.revokeApiToken({ apiTokenId: apiToken?.id ?? "" });
    expect(again.apiToken?.revokedAt).toEqual(revoked.apiToken?.revokedAt);
    expect((await failure(program.getCurrentUser({}))).code).toBe(Code.Unauthenticated);
  });

  test("can do no more than its creator, and nothing while they are disabled", async () => {
    const userId = await addUser(plane.database, "token-maker", "admin");
    const { secret } = await addApiToken(plane.database, "admin", { creatorId: userId });
    const program = accountsOf(plane.web, secret);
    await program.listUsers({});
    await admin().setUserRole({ userId, role: Role.VIEWER });
    expect(await program.getCurrentUser({})).toMatchObject({ role: Role.VIEWER });
    expect((await failure(program.listUsers({}))).code).toBe(Code.PermissionDenied);
    await admin().disableUser({ userId });
    expect((await failure(program.getCurrentUser({}))).code).toBe(Code.Unauthenticated);
  });

  test("that is made by a token answers for the same user", async () => {
    const userId = await addUser(plane.database, "token-parent", "admin");
    const { secret } = await addApiToken(plane.database, "admin", { creatorId: userId });
    const child = await accountsOf(plane.web, secret).createApiToken({ label: "child", role: Role.ADMIN });
    await admin().disableUser({ userId });
    expect((await failure(accountsOf(plane.web, child.secret).listUsers({}))).code).toBe(Code.Unauthenticated);
  });
});

describe("a wrong password", () => {
  test("is delayed from the sixth on, without reading the password, and the account is not locked", async () => {
    await addUser(plane.database, "guessed", "viewer");
    const attempts: (Refusal_Reason | undefined)[] = [];
    for (let count = 0; count < 6; count += 1) {
      const attempt = new Browser(plane.web).accounts.login({ username: "guessed", password: `wrong ${count}` });
      attempts.push(await refusal(attempt));
    }
    expect(attempts).toEqual([
      ...Array<Refusal_Reason>(5).fill(Refusal_Reason.LOGIN_FAILED),
      Refusal_Reason.LOGIN_DELAYED,
    ]);
    const delayed = await failure(new Browser(plane.web).accounts.login({ username: "guessed", password: PASSWORD }));
    expect(delayed.code).toBe(Code.ResourceExhausted);
    expect(delayed.findDetails(RefusalSchema)[0]?.retryAfterMs).toBeGreaterThan(0);
  });

  test("is in the audit log without what was typed", async () => {
    await failure(new Browser(plane.web).accounts.login({ username: "my-secret-password", password: "oops" }));
    const rows = await plane.database.db.selectFrom("audit_events").selectAll().execute();
    expect(rows.some((row) => row.action === "session.login_failed")).toBe(true);
    const told = JSON.stringify(rows, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value));
    expect(told).not.toContain("my-secret-password");
    expect(told).not.toContain(PASSWORD);
  });
});

describe("a bad request", () => {
  const label = "for a test";
  test.each([
    ["username", "is required", () => admin().createUser({ role: Role.VIEWER })],
    [
      "username",
      "must hold letters, digits, '.', '_' and '-' only",
      () => admin().createUser({ username: "a b", role: Role.VIEWER }),
    ],
    [
      "username",
      "may have at most 64 characters, not 65",
      () => admin().createUser({ username: "x".repeat(65), role: Role.VIEWER }),
    ],
    ["username", "is reserved", () => admin().createUser({ username: "Rollcall", role: Role.VIEWER })],
    ["role", "is required", () => admin().createUser({ username: "roleless" })],
    ["role", "has no value 77", () => admin().createUser({ username: "roleless", role: 77 as Role })],
    [
      "role",
      "must be ROLE_VIEWER, ROLE_OPERATOR or ROLE_ADMIN",
      () => admin().createUser({ username: "roleless", role: Role.HOST }),
    ],
    [
      "role",
      "must be ROLE_VIEWER, ROLE_OPERATOR or ROLE_ADMIN",
      () => admin().createApiToken({ label, role: Role.ANYONE }),
    ],
    ["label", "is required", () => admin().createApiToken({ role: Role.VIEWER })],
    [
      "label",
      "must hold one line without control characters only",
      () => admin().createApiToken({ label: "a\u202eb", role: Role.VIEWER }),
    ],
    [
      "validForSeconds",
      "must be at most 34560000",
      () => admin().createApiToken({ label, role: Role.VIEWER, validForSeconds: 4_000_000_000 }),
    ],
    ["userId", "is required", () => admin().disableUser({})],
    [
      "userId",
      "must hold a lower-case UUID only",
      () => admin().setUserRole({ userId: "'; drop table users", role: Role.VIEWER }),
    ],
    ["sessionId", "must hold a lower-case UUID only", () => admin().revokeSession({ sessionId: NOBODY.toUpperCase() })],
    ["apiTokenId", "is required", () => admin().revokeApiToken({})],
    ["token", "must hold printable ASCII without spaces only", () => admin().getSetup({ token: "a b" })],
    [
      "password",
      "may have at most 256 characters, not 257",
      () => admin().login({ username: "x", password: "x".repeat(257) }),
    ],
    ["password", "must hold text without NUL only", () => admin().login({ username: "x", password: "x\u0000" })],
  ])("names %s: it %s", async (field, problem, call) => {
    const before = await actions();
    const error = await failure(call());
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field, problem });
    expect(await actions()).toEqual(before);
  });

  test.each([
    ["user", Refusal_Reason.USER_UNKNOWN, () => admin().disableUser({ userId: NOBODY })],
    ["user", Refusal_Reason.USER_UNKNOWN, () => admin().resetUser({ userId: NOBODY })],
    ["user", Refusal_Reason.USER_UNKNOWN, () => admin().listSessions({ userId: NOBODY })],
    ["session", Refusal_Reason.SESSION_UNKNOWN, () => admin().revokeSession({ sessionId: NOBODY })],
    ["token", Refusal_Reason.API_TOKEN_UNKNOWN, () => admin().revokeApiToken({ apiTokenId: NOBODY })],
  ])("for a %s that is unknown is NOT_FOUND", async (_what, reason, call) => {
    const error = await failure(call());
    expect(error.code).toBe(Code.NotFound);
    expect(error.findDetails(RefusalSchema)[0]?.reason).toBe(reason);
  });

  test("of a page of another site is refused to a token too, and to nobody at all", async () => {
    const foreign = { origin: "https://evil.example" };
    const program = accountsWith(plane.web, () => ({ authorization: `Bearer ${plane.adminToken}`, ...foreign }));
    expect((await failure(program.listUsers({}))).code).toBe(Code.PermissionDenied);
    const stranger = accountsWith(plane.web, () => foreign);
    expect((await failure(stranger.login({ username: "x", password: "x" }))).code).toBe(Code.PermissionDenied);
  });
});

test("every change is in the audit log, in the words of the log", async () => {
  const told = new Set(await actions());
  for (const action of [
    "user.created",
    "user.set_up",
    "user.role_changed",
    "user.disabled",
    "user.enabled",
    "user.reset",
    "user.password_changed",
    "token.created",
    "token.revoked",
    "session.login",
    "session.login_failed",
    "session.logout",
    "session.revoked",
  ])
    expect(told, action).toContain(action);
});

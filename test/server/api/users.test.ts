import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { InvalidFieldSchema, Refusal_Reason, RefusalSchema } from "../../../gen/rollcall/v1/model_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { accountsOf, Browser } from "../../support/account-client.ts";
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

describe("a user", () => {
  test("is made with a link, sets a password by it once, and signs in with that", async () => {
    const made = await admin().createUser({ username: "Olga", role: Role.OPERATOR });
    expect(made.user).toMatchObject({ username: "Olga", role: Role.OPERATOR, setUp: false, createdBy: "admin-token" });
    const token = made.setupLink?.url.split("#")[1] ?? "";
    expect(made.setupLink?.url).toBe(`${plane.web}/setup#${token}`);
    const browser = new Browser(plane.web);
    expect((await failureOf(browser.accounts.login({ username: "Olga", password: PASSWORD }))).code).toBe(
      Code.Unauthenticated,
    );
    await browser.accounts.completeSetup({ token, password: PASSWORD });
    expect(await browser.accounts.getCurrentUser({})).toMatchObject({ name: "Olga", role: Role.OPERATOR });
    expect(await reasonOf(browser.accounts.completeSetup({ token, password: PASSWORD }))).toBe(
      Refusal_Reason.SETUP_LINK_INVALID,
    );
    await new Browser(plane.web).accounts.login({ username: "olga", password: PASSWORD });
  });

  test("can't have a name that another has in other letters", async () => {
    await addUser(plane.database, "Petra", "viewer");
    expect(await reasonOf(admin().createUser({ username: "PETRA", role: Role.VIEWER }))).toBe(
      Refusal_Reason.USERNAME_TAKEN,
    );
  });

  test("whose link is an hour old needs a new one, and a new one voids the old", async () => {
    const { user, setupLink } = await admin().createUser({ username: "late", role: Role.VIEWER });
    const userId = user?.id ?? "";
    const [, first = ""] = setupLink?.url.split("#") ?? [];
    const again = await admin().resetUser({ userId });
    const [, second = ""] = again.setupLink?.url.split("#") ?? [];
    expect(await reasonOf(admin().getSetup({ token: first }))).toBe(Refusal_Reason.SETUP_LINK_INVALID);
    expect(await admin().getSetup({ token: second })).toMatchObject({ username: "late" });
    await plane.database.db
      .updateTable("setup_links")
      .set({ expires_at: new Date(Date.now() - 1000) })
      .execute();
    expect(await reasonOf(new Browser(plane.web).accounts.completeSetup({ token: second, password: PASSWORD }))).toBe(
      Refusal_Reason.SETUP_LINK_INVALID,
    );
  });

  test("that is disabled is out at once and gets the words of a wrong password", async () => {
    const { userId, browser } = await signIn(plane, "disabled", "viewer");
    await browser.fleet.listHosts({});
    await admin().disableUser({ userId });
    expect((await failureOf(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    const right = await failureOf(new Browser(plane.web).accounts.login({ username: "disabled", password: PASSWORD }));
    const wrong = await failureOf(new Browser(plane.web).accounts.login({ username: "disabled", password: "x" }));
    const unknown = await failureOf(new Browser(plane.web).accounts.login({ username: "no-such", password: "x" }));
    expect(new Set([right.message, wrong.message, unknown.message]).size).toBe(1);
    await admin().enableUser({ userId });
    expect((await failureOf(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    await new Browser(plane.web).accounts.login({ username: "disabled", password: PASSWORD });
  });

  test("that is reset loses password and sessions", async () => {
    const { userId, browser } = await signIn(plane, "forgetful", "viewer");
    await admin().resetUser({ userId });
    expect((await failureOf(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    expect(await reasonOf(new Browser(plane.web).accounts.login({ username: "forgetful", password: PASSWORD }))).toBe(
      Refusal_Reason.LOGIN_FAILED,
    );
  });

  test("changes their own password: other sessions end, this one gets a new cookie", async () => {
    const { userId, browser } = await signIn(plane, "changer", "viewer");
    const elsewhere = new Browser(plane.web);
    elsewhere.cookie = `rollcall_session=${(await addSession(plane.database, userId)).secret}`;
    const former = browser.cookie;
    const wrong = await failureOf(
      browser.accounts.changePassword({ currentPassword: "wrong", newPassword: "another good one" }),
    );
    expect(wrong.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field: "currentPassword" });
    await browser.accounts.changePassword({ currentPassword: PASSWORD, newPassword: "another good one" });
    expect(browser.cookie).not.toBe(former);
    await browser.fleet.listHosts({});
    expect((await failureOf(elsewhere.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    browser.cookie = former;
    expect((await failureOf(browser.fleet.listHosts({}))).code).toBe(Code.Unauthenticated);
    await new Browser(plane.web).accounts.login({ username: "changer", password: "another good one" });
  });
});

describe("the last admin", () => {
  test("can't be demoted or disabled, whatever other admins can't sign in; two can't demote each other", async () => {
    // Only the two of this test count: everybody else steps back first.
    const others = (await admin().listUsers({})).users.filter((user) => user.role === Role.ADMIN);
    const one = await signIn(plane, "admin-one", "admin");
    const two = await signIn(plane, "admin-two", "admin");
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
    expect(await reasonOf(admin().disableUser({ userId }))).toBe(Refusal_Reason.LAST_ADMIN);
    expect(await reasonOf(admin().setUserRole({ userId, role: Role.OPERATOR }))).toBe(Refusal_Reason.LAST_ADMIN);
    await admin().setUserRole({ userId, role: Role.ADMIN });
  });
});

describe("a wrong password", () => {
  test("is delayed from the sixth on, without reading the password, and the account is not locked", async () => {
    await addUser(plane.database, "guessed", "viewer");
    const attempts: (Refusal_Reason | undefined)[] = [];
    for (let count = 0; count < 6; count += 1) {
      const attempt = new Browser(plane.web).accounts.login({ username: "guessed", password: `wrong ${count}` });
      attempts.push(await reasonOf(attempt));
    }
    expect(attempts).toEqual([
      ...Array<Refusal_Reason>(5).fill(Refusal_Reason.LOGIN_FAILED),
      Refusal_Reason.LOGIN_DELAYED,
    ]);
    const delayed = await failureOf(new Browser(plane.web).accounts.login({ username: "guessed", password: PASSWORD }));
    expect(delayed.code).toBe(Code.ResourceExhausted);
    expect(delayed.findDetails(RefusalSchema)[0]?.retryAfterMs).toBeGreaterThan(0);
  });

  test("is in the audit log without what was typed", async () => {
    await failureOf(new Browser(plane.web).accounts.login({ username: "my-secret-password", password: "oops" }));
    const rows = await plane.database.db.selectFrom("audit_events").selectAll().execute();
    expect(rows.some((row) => row.action === "session.login_failed")).toBe(true);
    const told = JSON.stringify(rows, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value));
    expect(told).not.toContain("my-secret-password");
    expect(told).not.toContain(PASSWORD);
  });
});

import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { accountsOf, Browser } from "../../support/account-client.ts";
import { addSession, addUser, PASSWORD } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf } from "../../support/refusal-of.ts";
import { openResources } from "../stream/open-resources.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

test("each change of people, sessions and tokens is in the audit log once, in the order of the changes", async () => {
  const admin = accountsOf(plane.web, plane.adminToken);
  const userId = await addUser(plane.database, "audited", "viewer");
  const browser = new Browser(plane.web);
  let link = "";
  const changes: readonly (readonly [readonly string[], () => Promise<unknown>])[] = [
    [["session.login"], () => browser.accounts.login({ username: "audited", password: PASSWORD })],
    [
      // The new password's session begins with it.
      ["user.password_changed", "session.login"],
      () => browser.accounts.changePassword({ currentPassword: PASSWORD, newPassword: "another good one" }),
    ],
    [["session.logout"], () => browser.accounts.logout({})],
    [
      ["session.login_failed"],
      () => failureOf(new Browser(plane.web).accounts.login({ username: "audited", password: "wrong" })),
    ],
    [
      ["session.revoked"],
      async () => admin.revokeSession({ sessionId: (await addSession(plane.database, userId)).id }),
    ],
    [["user.role_changed"], () => admin.setUserRole({ userId, role: Role.OPERATOR })],
    [["user.disabled"], () => admin.disableUser({ userId })],
    [["user.enabled"], () => admin.enableUser({ userId })],
    [
      ["user.reset"],
      async () => {
        link = (await admin.resetUser({ userId })).setupLink?.url ?? "";
      },
    ],
    [
      ["user.set_up", "session.login"],
      () => browser.accounts.completeSetup({ token: link.split("#")[1] ?? "", password: PASSWORD }),
    ],
    [["user.created"], () => admin.createUser({ username: "created", role: Role.VIEWER })],
    [
      ["token.created", "token.revoked"],
      async () => {
        const { apiToken } = await admin.createApiToken({ label: "audited", role: Role.VIEWER });
        await admin.revokeApiToken({ apiTokenId: apiToken?.id ?? "" });
      },
    ],
  ];
  for (const [, change] of changes) await change();
  const told = await plane.database.db
    .selectFrom("audit_events")
    .select("action")
    .where("action", "not like", "release.%")
    .orderBy("id")
    .execute();
  expect(told.map(({ action }) => action)).toEqual(changes.flatMap(([actions]) => actions));
});

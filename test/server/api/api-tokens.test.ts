import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { accountsOf } from "../../support/account-client.ts";
import { addApiToken, addUser, PASSWORD } from "../../support/account-fixture.ts";
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

describe("an API token", () => {
  test("is shown once, stored as a hash, listed, used with its role, and revoked for ever", async () => {
    const { browser } = await signIn(plane, "tokens", "admin");
    const { apiToken, secret } = await browser.accounts.createApiToken({ label: "ci deploy", role: Role.VIEWER });
    expect(secret).toMatch(/^rc_api_[A-Za-z0-9_-]{43}$/);
    expect(apiToken).toMatchObject({ label: "ci deploy", role: Role.VIEWER, createdBy: "tokens" });
    const program = accountsOf(plane.web, secret);
    expect(await program.getCurrentUser({})).toMatchObject({ name: "token:ci deploy", role: Role.VIEWER });
    expect((await failureOf(program.listUsers({}))).code).toBe(Code.PermissionDenied);
    expect(await reasonOf(program.changePassword({ currentPassword: PASSWORD, newPassword: "another good one" }))).toBe(
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
    expect((await failureOf(program.getCurrentUser({}))).code).toBe(Code.Unauthenticated);
  });

  test("can do no more than its creator, and nothing while they are disabled", async () => {
    const userId = await addUser(plane.database, "token-maker", "admin");
    const { secret } = await addApiToken(plane.database, "admin", { creatorId: userId });
    const program = accountsOf(plane.web, secret);
    await program.listUsers({});
    await admin().setUserRole({ userId, role: Role.VIEWER });
    expect(await program.getCurrentUser({})).toMatchObject({ role: Role.VIEWER });
    expect((await failureOf(program.listUsers({}))).code).toBe(Code.PermissionDenied);
    await admin().disableUser({ userId });
    expect((await failureOf(program.getCurrentUser({}))).code).toBe(Code.Unauthenticated);
  });

  test("that is made by a token answers for the same user", async () => {
    const userId = await addUser(plane.database, "token-parent", "admin");
    const { secret } = await addApiToken(plane.database, "admin", { creatorId: userId });
    const child = await accountsOf(plane.web, secret).createApiToken({ label: "child", role: Role.ADMIN });
    await admin().disableUser({ userId });
    expect((await failureOf(accountsOf(plane.web, child.secret).listUsers({}))).code).toBe(Code.Unauthenticated);
  });
});

import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { InvalidFieldSchema, Refusal_Reason, RefusalSchema } from "../../../gen/rollcall/v1/model_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { accountsOf } from "../../support/account-client.ts";
import type { ControlPlane } from "../../support/control-plane.ts";
import { startQuietPlane } from "../../support/quiet-plane.ts";
import { failureOf } from "../../support/refusal-of.ts";
import { digestTables } from "../../support/table-digests.ts";
import { openResources } from "../stream/open-resources.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startQuietPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

const admin = () => accountsOf(plane.web, plane.adminToken);

const NOBODY = "00000000-0000-4000-8000-0000000000aa";

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
    const before = await digestTables(plane.database);
    const error = await failureOf(call());
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field, problem });
    expect(await digestTables(plane.database)).toEqual(before);
  });

  test.each([
    ["user", Refusal_Reason.USER_UNKNOWN, () => admin().disableUser({ userId: NOBODY })],
    ["user", Refusal_Reason.USER_UNKNOWN, () => admin().resetUser({ userId: NOBODY })],
    ["user", Refusal_Reason.USER_UNKNOWN, () => admin().listSessions({ userId: NOBODY })],
    ["session", Refusal_Reason.SESSION_UNKNOWN, () => admin().revokeSession({ sessionId: NOBODY })],
    ["token", Refusal_Reason.API_TOKEN_UNKNOWN, () => admin().revokeApiToken({ apiTokenId: NOBODY })],
  ])("for a %s that is unknown is NOT_FOUND", async (_what, reason, call) => {
    const error = await failureOf(call());
    expect(error.code).toBe(Code.NotFound);
    expect(error.findDetails(RefusalSchema)[0]?.reason).toBe(reason);
  });
});

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { accountsOf, Browser } from "../../support/account-client.ts";
import { PASSWORD } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf, refusalOf } from "../../support/refusal-of.ts";
import { openResources } from "../stream/open-resources.ts";

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
const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call))?.reason;

describe("the first start", () => {
  test("writes a link to a file of its own user, its secret in the fragment, and not into the log", () => {
    expect(setupUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/setup#rc_setup_[A-Za-z0-9_-]{43}$/);
    expect(setupFileMode).toBe(0o600);
    expect(plane.log.join("\n")).not.toContain("rc_setup_");
  });

  test("lets the first of many who open the link become admin, and nobody else", async () => {
    const [, token = ""] = setupUrl.split("#");
    expect(await admin().getSetup({ token })).toMatchObject({ username: "" });
    expect((await failureOf(new Browser(plane.web).accounts.completeSetup({ token, password: PASSWORD }))).code).toBe(
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
    expect(await reasonOf(admin().getSetup({ token }))).toBe(Refusal_Reason.SETUP_LINK_INVALID);
    await expect(readFile(join(plane.dataDir, "setup-link"))).rejects.toThrow(/ENOENT/);
    const winner = browsers.find((browser) => browser.cookie !== undefined);
    expect(await winner?.accounts.getCurrentUser({})).toMatchObject({ role: Role.ADMIN, session: { current: true } });
  });
});

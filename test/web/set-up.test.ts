import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible } from "./support/accessibility.ts";
import {
  expectNoFaults,
  SCREENS,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("set-up and sign-in", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("the first admin sets themselves up by the link, signs out, and signs in again", async () => {
    const { plane } = dashboard;
    const link = new URL((await readFile(join(plane.dataDir, "setup-link"), "utf8")).trim());
    const requests: string[] = [];
    await using visitor = await dashboard.visit("/sign-in", { isStranger: true, isEmpty: true });
    const { page, context } = visitor;
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(link.href);
    await page.getByText("Choose a name and a password. You become the first admin.").waitFor();
    await expectAccessible(page, "set-up");
    await page.getByLabel("User name").fill("mara");
    await page.getByLabel("Password", { exact: true }).fill("correct horse battery");
    await page.getByLabel("Password again").fill("something else entirely");
    await page.getByRole("button", { name: "Set up and sign in" }).click();
    await page.getByText("The two passwords differ. Nothing was saved.").waitFor();
    await expectAccessible(page, "set-up-refused", ["phone"]);
    await page.setViewportSize(SCREENS.desk);
    await page.getByLabel("Password again").fill("correct horse battery");
    await page.getByRole("button", { name: "Set up and sign in" }).click();
    await untilLive(page);
    await page.getByText("No host has enrolled yet. Nothing is being managed.").waitFor();
    expect(page.url()).toBe(`${plane.web}/hosts`);
    // The secret is in no request's address, and no script can read the session.
    expect(requests.filter((url) => url.includes(link.hash.slice(1)))).toEqual([]);
    expect(await page.evaluate(() => document.cookie)).toBe("");
    expect((await context.cookies()).map(({ httpOnly, sameSite }) => ({ httpOnly, sameSite }))).toEqual([
      { httpOnly: true, sameSite: "Strict" },
    ]);
    await page.getByRole("link", { name: /mara/ }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await expectAccessible(page, "sign-in");
    await page.setViewportSize(SCREENS.desk);
    expect(await context.cookies()).toEqual([]);
    await page.getByLabel("User name").fill("mara");
    await page.getByLabel("Password").fill("correct horse battery");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Account" }).waitFor();
    await page.getByRole("cell", { name: /^Chrome \d+ on Linux$/ }).waitFor();
    await page.goto(link.href);
    await page.getByRole("alert").waitFor();
    expect(await page.getByLabel("Password").count()).toBe(0);
    await expectAccessible(page, "set-up-used", ["phone"]);
    expect(requests.every((url) => url.startsWith(plane.web))).toBe(true);
    expectNoFaults(visitor);
  });
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { accountsOf } from "../support/account-client.ts";
import { addSession, addUser } from "../support/account-fixture.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { expectAccessible } from "./support/accessibility.ts";
import { startProxy } from "../server/stream/tcp-proxy.ts";
import { keepPicture, startDashboardPlane, untilLive, type DashboardPlane } from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("the connection", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  const BAR = '[data-testid="connection-bar"]';

  test("a lost connection is told, stops offering deeds, and catches up by itself", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "web-01");
    await using proxy = await startProxy(Number(new URL(plane.web).port));
    await using visitor = await dashboard.visit("/hosts", { through: proxy.address });
    const { page, context } = visitor;
    await page.clock.install();
    await page.reload();
    await untilLive(page);
    await page.locator('[data-host="web-01"]').waitFor();
    await context.route("**/rollcall.v1.*/**", (route) => route.abort());
    proxy.reset();
    await page.clock.fastForward(3_000);
    await page
      .locator(BAR)
      .getByText(/^Reconnecting\. Showing \d\d:\d\d:\d\d\.$/)
      .waitFor();
    expect(await page.getByRole("button", { name: "Update… web-01" }).count()).toBe(0);
    await page.clock.fastForward(10_000);
    await page
      .locator(BAR)
      .getByText(
        /^No connection for \d+ s\. What you see is from \d\d:\d\d:\d\d; running updates go on without this page\./,
      )
      .waitFor();
    expect(await page.locator('link[rel="icon"]').getAttribute("href")).toBe("/favicon-lost.svg");
    await keepPicture(page, "connection-lost");
    // What happened meanwhile shows once it is back.
    await ScriptedHost.connect(plane, "web-02");
    await host.leave();
    await context.unroute("**/rollcall.v1.*/**");
    await page.locator(BAR).getByRole("button", { name: "Try now" }).click();
    await page.locator(BAR).getByText("Connected again, up to date.").waitFor();
    await page.locator('[data-host="web-02"]').waitFor();
    await page.clock.fastForward(4_000);
    await page.locator(BAR).waitFor({ state: "detached" });
  });

  test("a line that died without a word is found out by its silence", async () => {
    const { plane } = dashboard;
    await using proxy = await startProxy(Number(new URL(plane.web).port));
    await using visitor = await dashboard.visit("/hosts", { through: proxy.address });
    const { page } = visitor;
    await page.clock.install();
    await page.reload();
    await untilLive(page);
    proxy.freeze();
    await page.clock.fastForward(16_000);
    await page.clock.fastForward(3_000);
    await page
      .locator(BAR)
      .getByText(/^Reconnecting\./)
      .waitFor();
  });

  test("a session that ends says so and keeps the place", async () => {
    const { plane } = dashboard;
    const userId = await addUser(plane.database, "zoe", "admin");
    await using visitor = await dashboard.visit("/hosts?q=web&sort=-name", { isStranger: true });
    const { page, context } = visitor;
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    const { secret } = await addSession(plane.database, userId);
    await context.addCookies([{ name: "rollcall_session", value: secret, url: plane.web, sameSite: "Strict" }]);
    await page.reload();
    await untilLive(page);
    await accountsOf(plane.web, plane.adminToken).disableUser({ userId });
    await page.getByText("Your session has ended. Nothing was lost; sign in and you are back on this page.").waitFor();
    expect(new URL(page.url()).search).toBe("?q=web&sort=-name");
    await expectAccessible(page, "session-ended", ["desk"]);
    await accountsOf(plane.web, plane.adminToken).enableUser({ userId });
    await page.getByLabel("User name").fill("zoe");
    await page.getByLabel("Password").fill("wrong password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await expectAccessible(page, "sign-in-refused", ["desk"]);
    await page.getByLabel("Password").fill("correct horse battery");
    await page.getByRole("button", { name: "Sign in" }).click();
    await untilLive(page);
    expect(await page.getByLabel("Search name or id").inputValue()).toBe("web");
  });
});

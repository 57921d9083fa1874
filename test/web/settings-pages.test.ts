import { afterAll, beforeAll, expect, test } from "vitest";
import { AlertKind } from "../../gen/rollcall/v1/attention_pb.js";
import { ScriptedHost } from "../support/scripted-host.ts";
import { NEW_VERSION } from "../support/control-plane.ts";
import {
  expectNoFaults,
  SCREENS,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("the pages beside hosts and updates", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("a token is made, a host enrols with it, and is seen to arrive", async () => {
    const { plane } = dashboard;
    await using visitor = await dashboard.visit("/hosts/enrol");
    const { page } = visitor;
    await untilLive(page);
    await page.getByLabel("For").fill("web servers");
    await page.getByRole("button", { name: "Make a token" }).click();
    const command = (await page.locator("code").filter({ hasText: "| ROLLCALL_TOKEN=" }).textContent()) ?? "";
    const token = /ROLLCALL_TOKEN=(\S+)/.exec(command)?.[1] ?? "";
    await page.getByText("Waiting for the host…").waitFor();
    const helper = await ScriptedHost.enrol(plane, "helper");
    await helper.agent.enroll({ token, hostname: "web-05", os: "linux", arch: "x64" });
    await page.getByText("web-05 arrived: linux-x64").waitFor();
    await page.getByRole("link", { name: "Open host" }).first().waitFor();
    expectNoFaults(visitor);
  });

  test("an operator acknowledges an alert, and everybody sees who did", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "db-09");
    await plane.fleet.updateHost({ hostId: host.hostId });
    await host.failNext();
    await using visitor = await dashboard.visit("/alerts", { role: "operator" });
    const { page } = visitor;
    await page.getByText("db-09 update failed: program folder is read-only").waitFor();
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByText("Acknowledged by otto").waitFor();
    const { alerts } = await plane.fleet.listAlerts({ openOnly: true, kind: AlertKind.UPDATE_FAILED });
    expect(alerts.map(({ acknowledgedBy }) => acknowledgedBy)).toEqual(["otto"]);
    expectNoFaults(visitor);
  });

  test("the server's version stands at the foot of the rail, and under More on a phone", async () => {
    await using visitor = await dashboard.visit("/more");
    const { page } = visitor;
    await untilLive(page);
    const version = page.getByTestId("server-version");
    await expect.poll(() => version.allTextContents()).toHaveLength(2);
    for (const text of await version.allTextContents()) expect(text.trim()).toBe(`Server version\u00a0${NEW_VERSION}`);
    await page.setViewportSize(SCREENS.phone);
    await version.and(page.locator(":visible")).waitFor();
    expect(await version.count()).toBe(1);
    expectNoFaults(visitor);
  });

  test("the audit log is narrowed by its address", async () => {
    await using visitor = await dashboard.visit("/audit?type=token.");
    const { page } = visitor;
    await page.getByText("Token made").first().waitFor();
    expect(await page.getByText("Host enrolled").count()).toBe(0);
    await page.getByLabel("Type").selectOption("host.");
    await page.getByText("Host enrolled").first().waitFor();
    expect(new URL(page.url()).search).toBe("?type=host.");
    await page.goBack();
    await page.getByText("Token made").first().waitFor();
    await page.getByLabel("By", { exact: true }).fill("nobody");
    await page.keyboard.press("Enter");
    await page.getByText("No event matches. The log is unchanged.").waitFor();
    await page.goto(`${dashboard.plane.web}/audit?type=host.`);
    const failed = page.getByRole("row").filter({ hasText: "Update failed" });
    await failed.getByText("Program folder is read-only; the host reported it").waitFor();
    expect(await page.locator("main").textContent()).not.toContain("preflight_");
    expectNoFaults(visitor);
  });

  test("what cannot be loaded says so in its place, and is loaded once asked again", async () => {
    await using visitor = await dashboard.visit("/more");
    const { page, context } = visitor;
    await untilLive(page);
    await context.route(/ListAuditEvents/, (route) => route.abort());
    await page.getByRole("link", { name: "Audit log" }).first().click();
    await page
      .getByRole("alert")
      .getByText(/^The audit log could not be loaded \(\w+\)\. Nothing was changed\.$/)
      .waitFor();
    await context.unroute(/ListAuditEvents/);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("Token made").first().waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    expectNoFaults(visitor);
  });

  test("a user is added with a setup link, changes role, and is disabled", async () => {
    await using visitor = await dashboard.visit("/settings/users");
    const { page } = visitor;
    await page.getByLabel("User name").fill("nina");
    await page.getByRole("button", { name: "Add user" }).click();
    const link = (await page.locator("code").filter({ hasText: "/setup#" }).textContent()) ?? "";
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/setup#\S{40,}$/);
    const row = page.locator('[data-user="nina"]');
    await row.getByText("Not set up yet").waitFor();
    await row.getByLabel("Role of nina").selectOption({ label: "operator" });
    await page.getByRole("alertdialog").getByRole("button", { name: "Change role" }).click();
    await expect.poll(() => row.getByLabel("Role of nina").inputValue()).toBe("4");
    await row.getByRole("button", { name: "Disable…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Disable user" }).click();
    await row.getByText("Disabled").waitFor();
    // The last admin cannot be disabled, and the dialog says so and stays.
    const self = page.locator('[data-user="mara"]');
    await self.getByRole("button", { name: "Disable…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Disable user" }).click();
    await page.getByRole("alertdialog").getByRole("alert").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("alertdialog").waitFor({ state: "detached" });
    expectNoFaults(visitor);
  });

  test("an API token is shown once, works, and is refused once revoked", async () => {
    const { plane } = dashboard;
    await using visitor = await dashboard.visit("/settings/tokens");
    const { page } = visitor;
    await page.getByLabel("For").fill("ci-deploy");
    await page.getByRole("button", { name: "Make token" }).click();
    const secret = (await page.locator("code").filter({ hasText: "rc_api_" }).textContent()) ?? "";
    const list = (): Promise<number> =>
      fetch(`${plane.web}/rollcall.v1.FleetService/ListHosts`, {
        method: "POST",
        headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
        body: "{}",
      }).then(({ status }) => status);
    expect(await list()).toBe(200);
    await page.getByRole("button", { name: "Done" }).click();
    expect(await page.getByText(secret).count()).toBe(0);
    await page.locator('[data-token="ci-deploy"]').getByRole("button", { name: "Revoke…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Revoke token" }).click();
    await page.locator('[data-token="ci-deploy"]').getByText("Revoked").waitFor();
    expect(await list()).toBe(401);
    expectNoFaults(visitor);
  });

  test("a password is changed, and other sessions are seen and ended", async () => {
    await using other = await dashboard.visit("/hosts", { role: "viewer" });
    await using visitor = await dashboard.visit("/account", { role: "viewer" });
    const { page } = visitor;
    await page.getByRole("button", { name: /^End/ }).first().click();
    await other.page.getByText("Your session has ended.").waitFor();
    await page.getByLabel("Current password").fill("correct horse battery");
    await page.getByLabel("New password", { exact: true }).fill("another horse battery");
    await page.getByLabel("New password again").fill("another horse battery");
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByText("Password changed. Your other sessions have ended.").waitFor();
    await untilLive(page);
    expectNoFaults(visitor);
  });
});

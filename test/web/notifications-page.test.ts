import { afterAll, beforeAll, expect, test } from "vitest";
import { Receiver } from "../server/notify/receiver.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import {
  expectNoFaults,
  keepPicture,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("the page of notifications", () => {
  let dashboard: DashboardPlane;
  let receiver: Receiver;

  beforeAll(async () => {
    receiver = await Receiver.start();
    dashboard = await startDashboardPlane({ notificationIntervalMs: 100 }, undefined, {
      ROLLCALL_NOTIFY_ALLOW: "127.0.0.1",
    });
  });

  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  });

  test("a webhook is added, tested, told of an alert, and removed", async () => {
    const { plane } = dashboard;
    await using visitor = await dashboard.visit("/settings/notifications");
    const { page } = visitor;
    await untilLive(page);
    await page.getByLabel("Name", { exact: true }).fill("pager");
    await page.getByLabel("URL").fill(`${receiver.origin}/pager`);
    await page.getByRole("button", { name: "Add channel" }).click();
    const secret = (await page.locator("code").filter({ hasText: "whsec_" }).textContent()) ?? "";
    await page.getByRole("button", { name: "Done" }).click();
    expect(await page.getByText(secret).count()).toBe(0);
    const row = page.locator('[data-channel="pager"]');
    await row.getByText("Nothing was sent yet").waitFor();
    await row.getByRole("button", { name: "Send a test" }).click();
    await row.getByText("The test was delivered.").waitFor();
    expect((await receiver.posts.take()).body).toContain('"type":"test"');
    receiver.answer = (response) => response.writeHead(503).end();
    await row.getByRole("button", { name: "Send a test" }).click();
    await row.getByText(/The test failed: 127\.0\.0\.1:\d+ answered 503\./).waitFor();
    await receiver.posts.take();
    const host = await ScriptedHost.connect(plane, "db-09");
    await plane.fleet.updateHost({ hostId: host.hostId });
    await host.failNext();
    expect((await receiver.posts.take()).body).toContain("db-09 update failed: program folder is read-only");
    const failures = async (): Promise<number | undefined> =>
      (await plane.database.db.selectFrom("notification_channels").select("failures").executeTakeFirst())?.failures;
    await expect.poll(failures, { timeout: 15_000 }).toBeGreaterThan(0);
    await page.reload();
    await row.getByText(/^Failing: 127\.0\.0\.1:\d+ answered 503\.$/).waitFor();
    await row.getByText("1 alert waits").waitFor();
    await keepPicture(page, "notifications");
    await row.getByRole("button", { name: "Remove…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Remove channel" }).click();
    await page.getByText("Alerts are sent nowhere yet.").waitFor();
    expectNoFaults(visitor);
  });

  test("what is wrong with a channel is said, and nothing is added", async () => {
    await using visitor = await dashboard.visit("/settings/notifications");
    const { page } = visitor;
    await page.getByLabel("Kind").selectOption("mail");
    await page.getByLabel("Name", { exact: true }).fill("mail");
    await page.getByLabel("Mail server").fill("smtps://mail.example.org");
    await page.getByLabel("From").fill("rollcall@example.org");
    await page.getByLabel("To", { exact: true }).fill("ops@example.org, nobody");
    await page.getByRole("button", { name: "Add channel" }).click();
    await page.getByRole("alert").filter({ hasText: "must be an address" }).waitFor();
    await page.getByText("Alerts are sent nowhere yet.").waitFor();
    expectNoFaults(visitor);
  });
});

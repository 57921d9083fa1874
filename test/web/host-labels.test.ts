import { afterAll, beforeAll, expect, test } from "vitest";
import { ScriptedHost } from "../support/scripted-host.ts";
import {
  expectNoFaults,
  keepPicture,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { findAccessibilityFaults } from "./support/accessibility.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("names and labels", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("a host is named and labelled on its page, found by its label, and updated by it", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "ip-10-0-0-7");
    await ScriptedHost.connect(plane, "ip-10-0-0-8");
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`);
    const { page } = visitor;
    await untilLive(page);
    const names = page.getByRole("region", { name: "Name and labels" });
    await names.getByRole("button", { name: "Edit…" }).click();
    await names.getByLabel("Name").fill(" Front door ");
    await names.getByLabel("Labels").fill("role=web, lisbon");
    await names.getByRole("button", { name: "Save" }).click();
    await names.getByText("'lisbon' is no label: write a key and a value, as in site=lisbon.").waitFor();
    await names.getByLabel("Labels").fill("role=web, Site=lisbon");
    await names.getByRole("button", { name: "Save" }).click();
    await names.getByText(/must hold lower-case letters, digits/).waitFor();
    await names.getByLabel("Labels").fill("role=web, site=lisbon");
    expect(await findAccessibilityFaults(page)).toEqual([]);
    await names.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "Front door" }).waitFor();
    await names.getByText("Its hostname is ip-10-0-0-7.").waitFor();
    await keepPicture(page, "host-labels");

    await names.getByRole("link", { name: "site=lisbon" }).click();
    await expect.poll(() => new URL(page.url()).search).toBe("?label=site=lisbon");
    const row = page.locator('[data-host="ip-10-0-0-7"]');
    await row.getByText("Front door").waitFor();
    await row.getByText("role=web, site=lisbon").waitFor();
    expect(await page.locator("[data-host]").count()).toBe(1);
    await keepPicture(page, "hosts-by-label");

    await page.goto(`${plane.web}/settings/fleet-update`);
    await page.getByText("2 hosts are behind").waitFor();
    await page.getByRole("button", { name: "Only hosts with a label" }).click();
    await page.getByRole("group", { name: "Only hosts with a label" }).getByLabel("site=lisbon").check();
    await page.getByText("1 host with site=lisbon is behind").waitFor();
    await keepPicture(page, "fleet-update-by-label");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Start fleet update…" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText("Only hosts with site=lisbon.").waitFor();
    await dialog.getByRole("button", { name: "Start fleet update" }).click();
    await host.commanded();
    await page.getByText("· hosts with site=lisbon").waitFor();
    expectNoFaults(visitor);
  });
});

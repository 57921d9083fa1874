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

  test("a host that is archived leaves the table and its counts, is seen to be alive, and comes back", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "retired-01");
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`);
    const { page } = visitor;
    await untilLive(page);
    await page.getByRole("button", { name: "Archive…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Archive host" }).click();
    const archived = page.getByRole("region", { name: /^Archived since/ });
    await archived.getByText("Its agent is connected all the same.").waitFor();
    await page.getByText("It is archived. Bring it back to update it.").waitFor();
    await keepPicture(page, "host-archived");
    await page.getByRole("link", { name: "Hosts", exact: true }).first().click();
    await page.locator('[data-host="ip-10-0-0-8"]').waitFor();
    const row = page.locator('[data-host="retired-01"]');
    expect(await row.count()).toBe(0);
    expect(await page.getByTestId("tile-online").textContent()).toContain("2 of 2");
    await page.getByRole("button", { name: "Archived 1" }).click();
    await row.getByText("Online").waitFor();
    expect(new URL(page.url()).search).toBe("?archived=yes");
    expect(await findAccessibilityFaults(page)).toEqual([]);
    await keepPicture(page, "hosts-archived");
    await row.getByRole("link").click();
    await page.getByRole("button", { name: "Bring back" }).click();
    await page.getByText("retired-01 was brought back.").waitFor();
    await archived.waitFor({ state: "detached" });
    expectNoFaults(visitor);
  });

  test("a reinstalled machine takes its host's place, and a second one with its hostname is marked", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "reinstalled-01");
    await ScriptedHost.connect(plane, "reinstalled-01");
    await using visitor = await dashboard.visit("/hosts?q=reinstalled");
    const { page } = visitor;
    await page.getByText("Same hostname as reinstalled-01").waitFor();
    await page.goto(`${plane.web}/hosts/${host.hostId}`);
    await page.getByRole("link", { name: "Reinstall…" }).click();
    await page.getByRole("heading", { name: "Reinstall reinstalled-01" }).waitFor();
    await page.getByRole("button", { name: "Make a token" }).click();
    const command = await page
      .getByText(/ROLLCALL_TOKEN=rc_enroll_/)
      .first()
      .textContent();
    const token = /rc_enroll_[A-Za-z0-9_-]+/.exec(command ?? "")?.[0] ?? "";
    const answer = await host.agent.enroll({ token, hostname: "reinstalled-01", os: "linux", arch: "x64" });
    expect(answer.hostId).toBe(host.hostId);
    await page.getByText("reinstalled-01 arrived").waitFor();
    expectNoFaults(visitor);
  });
});

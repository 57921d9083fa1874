import { afterAll, beforeAll, expect, test } from "vitest";
import { UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION, OLD_VERSION } from "../support/control-plane.ts";
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

inChromium("the page of hosts", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("a host that falls behind is told, updated and seen to succeed without a reload", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "web-01");
    await ScriptedHost.connect(plane, "cache-01", NEW_VERSION);
    const broken = await ScriptedHost.connect(plane, "db-02");
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    const row = page.locator('[data-host="web-01"]');
    await row.getByText("Out of date").waitFor();
    expect(await page.getByTestId("tile-behind").textContent()).toContain("2");
    const { job } = await plane.fleet.updateHost({ hostId: broken.hostId });
    await broken.commanded();
    broken.stream.sendProgress({
      jobId: job?.id ?? "",
      phase: UpdatePhase.FAILED,
      reason: JobReason.PREFLIGHT_NO_SPACE,
      details: { path: "/opt/rollcall", bytesFree: 61_000_000n, bytesNeeded: 118_000_000n },
    });
    await page.locator('[data-host="db-02"]').getByText("Failed: not enough disk space").waitFor();
    await row.getByRole("button", { name: "Update… web-01" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText(`${OLD_VERSION} → ${NEW_VERSION}`).waitFor();
    await keepPicture(page, "hosts-update-dialog");
    expect(await findAccessibilityFaults(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Update agent" }).click();
    const { jobId } = await host.commanded();
    host.stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone: 620n, bytesTotal: 1000n });
    await row.getByText("Downloading 62 %").waitFor();
    await keepPicture(page, "hosts-updating");
    host.stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    await row.getByText("Restarting").waitFor();
    await host.helloUpdated(jobId, NEW_VERSION);
    await row.getByText("Succeeded").waitFor();
    await row.getByText("Out of date").waitFor({ state: "detached" });
    expect(await page.getByTestId("tile-behind").textContent()).toContain("1");
    await keepPicture(page, "hosts");
    expectNoFaults(visitor);
  });

  test("a view lives in its address: a link opens it, and back leads through it", async () => {
    await using visitor = await dashboard.visit("/hosts?updates=behind&sort=-name");
    const { page } = visitor;
    await untilLive(page);
    const shown = (): Promise<string[]> =>
      page.locator("[data-host]").evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["host"] ?? ""));
    expect(await page.getByRole("button", { name: /^Behind/ }).getAttribute("aria-pressed")).toBe("true");
    await expect.poll(shown).toEqual(["db-02"]);
    await page.getByRole("button", { name: /^All/ }).click();
    await expect.poll(async () => (await shown()).toSorted()).toEqual(["cache-01", "db-02", "web-01"]);
    await page.getByLabel("Search name or id").fill("nobody");
    await page.getByText("No host matches 'nobody'. The 3 hosts are unchanged.").waitFor();
    expect(new URL(page.url()).search).toBe("?q=nobody&sort=-name");
    // Typing made no entry of its own to go back through.
    await page.goBack();
    await expect.poll(shown).toEqual(["db-02"]);
    expect(new URL(page.url()).search).toBe("?updates=behind&sort=-name");
    await page.locator('[data-host="db-02"] a').click();
    await page.getByRole("heading", { name: "db-02" }).waitFor();
    await page.getByRole("link", { name: "Hosts", exact: true }).first().click();
    await expect.poll(shown).toEqual(["db-02"]);
    expectNoFaults(visitor);
  });

  test("the table is worked by keyboard alone", async () => {
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    await page.locator('[data-host="cache-01"]').focus();
    await page.keyboard.press("ArrowDown");
    await page.locator('[data-host="db-02"]:focus').waitFor();
    await page.keyboard.press("Space");
    await page.getByText("1 host selected").waitFor();
    await page.keyboard.press("Shift+ArrowDown");
    await page.getByText("2 hosts selected").waitFor();
    await page.getByText("1 of them cannot be updated: why?").click();
    await page.getByText(`web-01: Already runs ${NEW_VERSION}.`).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("2 hosts selected").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Search name or id");
    await page.locator('[data-host="web-01"]').focus();
    await page.keyboard.press("Home");
    await page.locator('[data-host="cache-01"]:focus').waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "cache-01" }).waitFor();
    expectNoFaults(visitor);
  });
});

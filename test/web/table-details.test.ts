import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { fillFleet } from "../bench/web/fill-fleet.ts";
import { NEW_VERSION, OLD_VERSION } from "../support/control-plane.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { expectAccessible, findAccessibilityFaults } from "./support/accessibility.ts";
import {
  expectNoFaults,
  keepPicture,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

/** *Units*: CSS pixels. */
const ROW_HEIGHT = 44;

inChromium("the table of hosts", () => {
  let dashboard: DashboardPlane;
  let host: ScriptedHost;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
    const database = new pg.Client({ connectionString: dashboard.plane.database.ownerUrl });
    await database.connect();
    await fillFleet(database, { hosts: 200, oldVersion: OLD_VERSION, newVersion: NEW_VERSION });
    await database.query(
      `insert into version_adoption (day, package, version, hosts)
       select (clock_timestamp() at time zone 'UTC')::date - ago, 'rollcall-agent', $1, 7 from generate_series(1, 3) as ago`,
      [OLD_VERSION],
    );
    await database.end();
    host = await ScriptedHost.connect(dashboard.plane, "aa-first");
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  /** How far from `top` the page is scrolled: the browser moves it a little when what stands above the table grows. */
  function distanceTo(page: Page, top: number): Promise<number> {
    return page.evaluate((wanted) => Math.abs(scrollY - wanted), top);
  }

  /** Names of the rows that are drawn. */
  function drawn(page: Page): Promise<string[]> {
    return page
      .locator("[data-host]")
      .evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["host"] ?? ""));
  }

  test("back leads to the row from which somebody left, and forward to where they had been", async () => {
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    await page.evaluate(() => scrollTo(0, 4_000));
    await expect.poll(() => drawn(page)).toContain("bench-00090");
    await page.locator('[data-host="bench-00090"] a').click();
    await page.getByRole("heading", { name: "bench-00090" }).waitFor();
    expect(await page.title()).toBe("bench-00090 · Rollcall");
    expect(await page.evaluate(() => scrollY)).toBe(0);
    await page.goBack();
    await expect.poll(() => distanceTo(page, 4_000)).toBeLessThan(ROW_HEIGHT);
    await expect.poll(() => drawn(page)).toContain("bench-00090");
    await page.evaluate(() => scrollTo(0, 1_000));
    await page.goForward();
    await page.getByRole("heading", { name: "bench-00090" }).waitFor();
    await page.goBack();
    await expect.poll(() => distanceTo(page, 1_000)).toBeLessThan(ROW_HEIGHT);
    expectNoFaults(visitor);
  });

  test("each active filter can be taken off by itself", async () => {
    await using visitor = await dashboard.visit("/hosts?updates=behind&status=offline&platform=linux-arm64");
    const { page } = visitor;
    await untilLive(page);
    const chips = page.getByRole("group", { name: "Active filters" });
    await chips.getByText("2 of 201 hosts").waitFor();
    await keepPicture(page, "hosts-filtered");
    await chips.getByRole("button", { name: "Remove the filter Offline" }).click();
    expect(new URL(page.url()).search).toBe("?updates=behind&platform=linux-arm64");
    await chips.getByRole("button", { name: "Clear filters" }).click();
    await chips.waitFor({ state: "detached" });
    expect(new URL(page.url()).search).toBe("");
    expectNoFaults(visitor);
  });

  test("the keyboard opens a row's menu, walks it, and is back at the row afterwards", async () => {
    await using visitor = await dashboard.visit("/hosts?q=aa-first");
    const { page } = visitor;
    await untilLive(page);
    const row = page.locator('[data-host="aa-first"]');
    await row.focus();
    await page.keyboard.press("Shift+F10");
    const menu = page.getByRole("menu", { name: "Host aa-first" });
    await menu.getByRole("menuitem", { name: "Open host" }).and(page.locator(":focus")).waitFor();
    await page.keyboard.press("ArrowDown");
    await menu.getByRole("menuitem", { name: "Update agent…" }).and(page.locator(":focus")).waitFor();
    await keepPicture(page, "hosts-row-menu");
    expect(await findAccessibilityFaults(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await menu.waitFor({ state: "detached" });
    await page.locator('[data-host="aa-first"]:focus').waitFor();
    await row.getByRole("button", { name: "More for aa-first" }).click();
    await menu.getByRole("menuitem", { name: "Update agent…" }).click();
    await page.getByRole("alertdialog").getByText("Update the agent on aa-first?").waitFor();
    expectNoFaults(visitor);
  });

  test("on a phone a row's menu opens at its edge, large enough for a thumb", async () => {
    await using visitor = await dashboard.visit("/hosts?q=aa-first", { screen: "phone" });
    const { page } = visitor;
    await untilLive(page);
    const more = page.getByRole("button", { name: "More for aa-first" });
    const { width, height } = (await more.boundingBox()) ?? { width: 0, height: 0 };
    expect(Math.min(width, height)).toBeGreaterThanOrEqual(44);
    await more.tap();
    const menu = page.getByRole("menu", { name: "Host aa-first" });
    await menu.getByRole("menuitem", { name: "Update agent…" }).waitFor();
    await expectAccessible(page, "hosts-row-menu", ["phone"]);
    await menu.getByRole("menuitem", { name: "Update agent…" }).tap();
    await page.getByRole("alertdialog").getByText("Update the agent on aa-first?").waitFor();
    expectNoFaults(visitor);
  });

  test("no column is cut off, however wide the window", async () => {
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    for (const width of [390, 760, 1023, 1024, 1179, 1180, 1279, 1280, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      const cut = await page
        .locator("[data-host], [role=row]:visible")
        .evaluateAll((rows) => rows.filter((row) => row.scrollWidth > row.clientWidth).length);
      expect(cut, `at ${width}`).toBe(0);
    }
    expectNoFaults(visitor);
  });

  test("rows that somebody made compact stay so in this browser", async () => {
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    const height = async (): Promise<number | undefined> =>
      (await page.locator('[data-host="aa-first"]').boundingBox())?.height;
    expect(await height()).toBe(44);
    await page.getByRole("button", { name: "Compact rows" }).click();
    await expect.poll(height).toBe(36);
    await page.reload();
    await untilLive(page);
    await expect.poll(height).toBe(36);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await expect.poll(() => drawn(page)).toContain("bench-00200");
    expectNoFaults(visitor);
  });

  test("a focused row tells its version and time in full, and Escape hushes it", async () => {
    await using visitor = await dashboard.visit("/hosts?q=bench-00050");
    const { page } = visitor;
    await untilLive(page);
    const row = page.locator('[data-host="bench-00050"]');
    await page.getByLabel("Search name or id").focus();
    await row.focus();
    const tip = page.getByRole("tooltip");
    await tip.getByText(/^Runs \S+ · target \S+ · .+ \d{4} at \d\d:\d\d:\d\d UTC$/).waitFor();
    expect(await row.getAttribute("aria-describedby")).toBe("tooltip");
    await page.keyboard.press("Escape");
    await tip.waitFor({ state: "hidden" });
    expect(await row.getAttribute("aria-describedby")).toBeNull();
    await row.locator("time").hover();
    await tip.getByText(/^[^·]+ at \d\d:\d\d:\d\d UTC$/).waitFor();
    expectNoFaults(visitor);
  });

  test("the arrow keys walk through the days of the chart", async () => {
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    const days = page.getByRole("slider", { name: "Day of the chart" });
    await days.focus();
    const said = (): Promise<string | null> => days.getAttribute("aria-valuetext");
    await expect.poll(said).toMatch(/^Today: /);
    await page.keyboard.press("ArrowLeft");
    await expect.poll(said).toMatch(new RegExp(`^\\d+ \\w+: 7 on ${OLD_VERSION}$`));
    const box = await days.boundingBox();
    await page.mouse.move((box?.x ?? 0) + (box?.width ?? 0) - 3, (box?.y ?? 0) + 30);
    await expect.poll(said).toMatch(/^Today: /);
    await keepPicture(page, "hosts-chart");
    expectNoFaults(visitor);
  });

  test.each(["no-preference", "reduce"] as const)(
    "a cell that changed lights up where motion is wanted: %s",
    async (reducedMotion) => {
      // It says no more than its first word, so its session may have ended since.
      await host.hello();
      await using visitor = await dashboard.visit("/hosts?q=aa-first");
      const { page } = visitor;
      await page.emulateMedia({ reducedMotion });
      // The first that a row shows is no change of it.
      await page.locator('[data-host="aa-first"]').waitFor();
      await page.evaluate(() => {
        const animate = Reflect.get(Element.prototype, "animate") as (...options: unknown[]) => Animation;
        Element.prototype.animate = function (...options) {
          document.documentElement.dataset["litUp"] = this.className;
          return animate.apply(this, options);
        };
      });
      const { job } = await dashboard.plane.fleet.updateHost({ hostId: host.hostId });
      try {
        expect(job?.id).toBe((await host.commanded()).jobId);
        await page.locator('[data-host="aa-first"]').getByText("Dispatched").waitFor();
      } finally {
        await dashboard.plane.fleet.cancelJob({ jobId: job?.id ?? "" });
      }
      const litUp = await page.evaluate(() => document.documentElement.dataset["litUp"]);
      if (reducedMotion === "reduce") expect(litUp).toBeUndefined();
      else expect(litUp).toMatch(/^update /);
      expectNoFaults(visitor);
    },
  );
});

/** The dashboard over a server and agents that are processes of their own: from the setup link to a fleet update. */
import { readFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../agent/clock-system.ts";
import { computeVersion } from "../../gen/version.ts";
import { buildDashboard } from "../../web/build/build-dashboard.ts";
import { buildAgents } from "../demo/agent-builds.ts";
import { DemoFleet } from "../demo/demo-fleet.ts";
import { createHost } from "../demo/demo-host.ts";
import { createWorkspace, type Workspace } from "../demo/workspace.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { launchChromium } from "./support/chromium.ts";
import { keepPicture, SCREENS, untilLive } from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

const TIMEOUT_MS = 240_000;
/** Longer than anything that a loaded machine takes over one step. *Units*: milliseconds. */
const STEP_MS = 30_000;
const PASSWORD = "correct horse battery";
/** *Units*: bytes; eight petabytes. */
const NO_DISK_HAS_BYTES = 2 ** 53 - 1;

inChromium("the dashboard over real agents", () => {
  const stop = new AbortController();
  let fleet: DemoFleet;
  let workspace: Workspace;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    await buildDashboard(repositoryRoot, () => {});
    const builds = await buildAgents(computeVersion(repositoryRoot), () => {}, stop.signal);
    workspace = await createWorkspace("rollcall-real-fleet-");
    fleet = await DemoFleet.start(builds, systemClock, stop.signal);
    browser = await launchChromium();
    const context = await browser.newContext({ viewport: SCREENS.desk, locale: "en-GB", timezoneId: "UTC" });
    context.setDefaultTimeout(STEP_MS);
    page = await context.newPage();
    page.on("pageerror", (error) => faults.push(String(error)));
  }, TIMEOUT_MS);

  afterAll(async () => {
    stop.abort();
    await browser.close();
    await fleet[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
    expect(faults).toEqual([]);
  }, TIMEOUT_MS);

  test("a server is set up, its first host enrolled with the token that the page gives", {
    timeout: TIMEOUT_MS,
  }, async () => {
    await page.goto((await readFile(fleet.server.setupLinkFile, "utf8")).trim());
    await page.getByLabel("User name").fill("mara");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("Password again").fill(PASSWORD);
    await page.getByRole("button", { name: "Set up and sign in" }).click();
    await untilLive(page);
    await page.evaluate(() => {
      document.documentElement.dataset["sinceTheStart"] = "yes";
    });
    await page.getByRole("link", { name: "Enrol host" }).click();
    await page.getByRole("button", { name: "Make a token" }).click();
    const command = page.getByText(/ROLLCALL_TOKEN=/).first();
    const [, token = ""] = /ROLLCALL_TOKEN=(\S+)/.exec((await command.textContent()) ?? "") ?? [];
    await page.getByText("Waiting for the host…").waitFor();
    const host = await createHost(
      {
        folder: workspace.path,
        name: "web-01",
        binaryPath: fleet.builds.older.binaryPath,
        server: fleet.server.agents,
        caFile: fleet.server.caFile,
      },
      token,
      stop.signal,
    );
    fleet.start(host);
    await page.getByText("web-01 arrived").waitFor();
    await page
      .getByRole("navigation")
      .getByRole("link", { name: /^Hosts/ })
      .click();
    const row = page.locator('[data-host="web-01"]');
    await row.getByText("Online").waitFor();
    await row.getByText("Out of date").waitFor();
    expect(await page.getByTestId("tile-behind").textContent()).toContain("1");
  });

  test("its update is confirmed, and chip and tile clear by themselves", { timeout: TIMEOUT_MS }, async () => {
    const row = page.locator('[data-host="web-01"]');
    await row.getByRole("button", { name: "Update… web-01" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Update agent" }).click();
    await row.getByText("Succeeded").waitFor();
    await row.getByText("Out of date").waitFor({ state: "detached" });
    await row.getByText(fleet.builds.newer.version, { exact: true }).waitFor({ state: "attached" });
    await expect.poll(() => page.getByTestId("tile-behind").textContent(), { timeout: STEP_MS }).toMatch(/^\s*0\b/);
  });

  test("a fleet update goes through every host that is behind", { timeout: TIMEOUT_MS }, async () => {
    await fleet.addHosts(["web-02", "web-03"], stop.signal);
    await expect.poll(() => page.getByTestId("tile-behind").textContent(), { timeout: STEP_MS }).toContain("2");
    await startFleetUpdate();
    await page.getByText("Completed", { exact: true }).first().waitFor();
    expect(await page.getByTestId("fleet-progress").textContent()).toBe("2 of 2");
  });

  test("a fleet update halts at a host without room, and says what that host said", {
    timeout: TIMEOUT_MS,
  }, async () => {
    await fleet.addHosts(["db-02", "db-03"], stop.signal, (name) =>
      name === "db-02" ? { reserveBytes: NO_DISK_HAS_BYTES } : {},
    );
    await page
      .getByRole("navigation")
      .getByRole("link", { name: /^Hosts/ })
      .click();
    await expect.poll(() => page.getByTestId("tile-behind").textContent(), { timeout: STEP_MS }).toContain("2");
    await startFleetUpdate();
    await page.getByRole("heading", { name: "Halted at db-02: not enough disk space" }).waitFor();
    await page.locator('[data-member="db-03"]').getByText("Not touched").waitFor();
    await keepPicture(page, "real-fleet-halted");
    // None of it needed the page to be loaded again.
    expect(await page.evaluate(() => document.documentElement.dataset["sinceTheStart"])).toBe("yes");
  });

  /** From the page of hosts. */
  async function startFleetUpdate(): Promise<void> {
    await page.getByRole("link", { name: "Start fleet update…" }).click();
    await page.getByRole("button", { name: "Start fleet update…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Start fleet update" }).click();
  }
});

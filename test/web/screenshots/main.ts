/**
 * `npm run screenshots`: takes the README's pictures of every page from the real demo,
 * into the folder of this file.
 */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { SCREENS, untilLive } from "../support/dashboard-plane.ts";
import { startPicturedFleet, type PicturedFleet } from "./demo-fleet.ts";

const PASSWORD = "correct horse battery";
/** From when a host that left counts as offline, and a little more. *Units*: milliseconds. */
const UNTIL_OFFLINE_MS = 90_000;
/** The server notes the versions of a fleet once a minute, and the page asks twice. *Units*: milliseconds. */
const UNTIL_NOTED_MS = 120_000;

/** Pages as they are after the halt: name, address, what stands on it once it is there. */
const AFTER_THE_HALT = [
  ["hosts", "/hosts", "Failed: not enough disk space"],
  ["host", "/hosts/HOST", "Left untouched"],
  ["fleet-update", "/settings/fleet-update", "Left untouched"],
  ["alerts", "/alerts", "Acknowledge"],
  ["audit-log", "/audit", "halted"],
  ["enrol-host", "/hosts/enrol", "rack 12"],
  ["releases", "/settings/releases", "linux-x64"],
  ["users", "/settings/users", "otto"],
  ["api-tokens", "/settings/tokens", "ci-deploy"],
  ["account", "/account", "mara"],
] as const;
const IN_THE_DARK: readonly string[] = ["hosts", "fleet-update"];
const ON_A_PHONE: readonly string[] = ["hosts", "fleet-update"];

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

await using fleet = await startPicturedFleet((line) => process.stdout.write(`${line}\n`), stop.signal);
const browser = await launchChromium();
try {
  const context = await browser.newContext({ viewport: SCREENS.desk, colorScheme: "light", locale: "en-GB" });
  const page = await context.newPage();
  await setUp(page, fleet);
  await fleet.addPeople();
  await page.goto(`${fleet.web}/settings/fleet-update`);
  await untilLive(page);
  await keep(page, "fleet-update-before");
  await fleet.haltFleetUpdate(async () => {
    // The host in turn, with its phases.
    await page.getByText("Open host").first().waitFor();
    await keep(page, "fleet-update-running");
  });
  await page.goto(`${fleet.web}/hosts`);
  await page.getByRole("button", { name: "Offline 1" }).waitFor({ timeout: UNTIL_OFFLINE_MS });
  await page.locator('main svg[role="img"]').first().waitFor({ timeout: UNTIL_NOTED_MS });
  for (const [name, address, ready] of AFTER_THE_HALT) {
    await page.goto(`${fleet.web}${address.replace("HOST", fleet.brokenHostId)}`);
    await untilLive(page);
    await page.locator("main").getByText(ready).first().waitFor();
    // The mark beside "Fleet update" in the rail: what is read beside the stream is here.
    await page.getByRole("navigation").getByText("halted").waitFor({ state: "attached" });
    await keep(page, name);
    if (IN_THE_DARK.includes(name)) {
      await choose(page, "dark");
      await keep(page, `${name}-dark`);
      await choose(page, "light");
    }
    if (ON_A_PHONE.includes(name)) {
      await page.setViewportSize(SCREENS.phone);
      await keep(page, `${name}-phone`);
      await page.setViewportSize(SCREENS.desk);
    }
  }
} finally {
  await browser.close();
}

/** As the first person of a new server. */
async function setUp(page: Page, { setupLink }: PicturedFleet): Promise<void> {
  await page.goto(setupLink);
  await page.getByLabel("User name").fill("mara");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Password again").fill(PASSWORD);
  await keep(page, "set-up");
  await page.getByRole("button", { name: "Set up and sign in" }).click();
  await page.getByRole("heading", { name: "Hosts" }).waitFor();
}

async function choose(page: Page, theme: "light" | "dark"): Promise<void> {
  await page.getByRole("button", { name: `Use the ${theme} theme` }).click();
}

async function keep(page: Page, name: string): Promise<void> {
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(import.meta.dirname, `${name}.png`), animations: "disabled" });
  process.stdout.write(`${name}.png\n`);
}

import { afterAll, beforeAll, test } from "vitest";
import type { Page } from "playwright-core";
import { UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { Role } from "../../gen/rollcall/v1/options_pb.js";
import { accountsOf } from "../support/account-client.ts";
import { NEW_VERSION } from "../support/control-plane.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { expectAccessible } from "./support/accessibility.ts";
import {
  expectNoFaults,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
  type Visitor,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

/** What somebody opens on a page: its address, and how. */
const OPENED: readonly (readonly [name: string, address: string, open: (page: Page) => Promise<unknown>])[] = [
  // First, while it has not failed for want of progress.
  ["cancel an update", "/hosts/BUSY", (page) => page.getByRole("button", { name: /^Cancel/ }).click()],
  ["update one host", "/hosts", (page) => page.getByRole("button", { name: "Update… web-01" }).click()],
  ["update chosen hosts", "/hosts", updateChosen],
  ["filter by version", "/hosts", (page) => page.getByRole("button", { name: "Version", exact: true }).click()],
  ["version adoption as a table", "/hosts", (page) => page.getByRole("button", { name: "Table" }).click()],
  ["remove a host", "/hosts/HOST", (page) => page.getByRole("button", { name: "Remove…" }).click()],
  ["start a fleet update", "/settings/fleet-update", startFleetUpdate],
  ["an enrolment token just made", "/hosts/enrol", (page) => submit(page, "Make a token")],
  ["an API token just made", "/settings/tokens", (page) => submit(page, "Make token")],
  ["revoke an API token", "/settings/tokens", (page) => page.getByRole("button", { name: "Revoke…" }).first().click()],
  ["disable a user", "/settings/users", (page) => page.getByRole("button", { name: "Disable…" }).last().click()],
  ["the details of an event", "/audit", (page) => page.getByText("Details").first().click()],
];

async function updateChosen(page: Page): Promise<void> {
  await page.getByRole("checkbox", { name: "Select web-01" }).check();
  await page.getByRole("button", { name: /^Update 1 host/ }).click();
}

async function startFleetUpdate(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Start fleet update…" }).click();
}

async function submit(page: Page, deed: string): Promise<void> {
  await page.getByLabel("For").first().fill("rack 12");
  await page.getByRole("button", { name: deed }).click();
  await page.getByRole("button", { name: /^Copy/ }).first().waitFor();
}

inChromium("what opens on a page", () => {
  let dashboard: DashboardPlane;
  let visitor: Visitor;
  const ids = new Map<string, string>();

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
    const { plane } = dashboard;
    ids.set("HOST", (await ScriptedHost.connect(plane, "web-01")).hostId);
    await ScriptedHost.connect(plane, "cache-01", NEW_VERSION);
    const busy = await ScriptedHost.connect(plane, "web-02");
    ids.set("BUSY", busy.hostId);
    await plane.fleet.updateHost({ hostId: busy.hostId });
    const { jobId } = await busy.commanded();
    busy.stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone: 62n, bytesTotal: 100n });
    const accounts = accountsOf(plane.web, plane.adminToken);
    await accounts.createUser({ username: "zoe", role: Role.VIEWER });
    await accounts.createApiToken({ label: "ci-deploy", role: Role.VIEWER, validForSeconds: 86_400 });
    visitor = await dashboard.visit("/more");
  });

  afterAll(async () => {
    await visitor[Symbol.asyncDispose]();
    await dashboard[Symbol.asyncDispose]();
  });

  test.each(OPENED)("%s: no fault that axe-core finds, light or dark", async (name, address, open) => {
    const path = address.replace(/[A-Z]{4}/, (name) => ids.get(name) ?? "");
    const { page } = visitor;
    await page.goto(`${dashboard.plane.web}${path}`);
    await untilLive(page);
    await open(page);
    await expectAccessible(page, `dialog-${name.replaceAll(" ", "-")}`, ["desk"]);
    expectNoFaults(visitor);
  });
});

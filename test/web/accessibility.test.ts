import { sql } from "kysely";
import { afterAll, beforeAll, test } from "vitest";
import { UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION } from "../support/control-plane.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import type { TestDatabase } from "../support/test-database.ts";
import { expectAccessible } from "./support/accessibility.ts";
import {
  expectNoFaults,
  SCREENS,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
  type Visitor,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

/** A page's address, and what stands on it once it is there. */
const PAGES: readonly (readonly [name: string, address: string, ready: string])[] = [
  ["hosts", "/hosts", "Failed: not enough disk space"],
  ["host", "/hosts/HOST", "Update sent"],
  ["enrol", "/hosts/enrol", "Make a token"],
  ["fleet-update", "/settings/fleet-update", "Halted at db-02: not enough disk space"],
  ["alerts", "/alerts?state=all", "None yet."],
  ["audit", "/audit", "Fleet update started"],
  ["releases", "/settings/releases", "linux-x64"],
  ["users", "/settings/users", "(you)"],
  ["tokens", "/settings/tokens", "No token was made yet."],
  ["notifications", "/settings/notifications", "Alerts are sent nowhere yet."],
  ["account", "/account", "this one"],
  ["more", "/more", "Account and sign out"],
  ["not-found", "/nowhere", "There is no such page"],
];

inChromium("every page", () => {
  let dashboard: DashboardPlane;
  /** Goes from page to page, as a person does, with what the browser has kept. */
  let visitor: Visitor;
  let hostId = "";

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
    const { plane } = dashboard;
    const broken = await ScriptedHost.connect(plane, "db-02");
    hostId = broken.hostId;
    for (const name of ["cache-01", "web-01", "web-02"]) await ScriptedHost.connect(plane, name, NEW_VERSION);
    const away = await ScriptedHost.connect(plane, "edge-lisbon", "1.6.9-14-g3fc1a2b");
    await away.leave();
    await plane.fleet.startFleetUpdate({ hostIds: [broken.hostId, away.hostId] });
    const { jobId } = await broken.commanded();
    broken.stream.sendProgress({
      jobId,
      phase: UpdatePhase.FAILED,
      reason: JobReason.PREFLIGHT_NO_SPACE,
      details: { path: "/opt/rollcall", bytesFree: 61_000_000n, bytesNeeded: 118_000_000n },
    });
    await plane.untilEnded(jobId);
    await recordAdoption(plane.database);
    visitor = await dashboard.visit("/more");
  });

  afterAll(async () => {
    await visitor[Symbol.asyncDispose]();
    await dashboard[Symbol.asyncDispose]();
  });

  /** Thirty days in which two versions made way for a third. */
  async function recordAdoption({ db }: TestDatabase): Promise<void> {
    const notes = Array.from({ length: 30 }, (_, ago) => [
      { ago, version: "1.6.9-14-g3fc1a2b", hosts: ago > 20 ? 4 : 1 },
      { ago, version: "1.0.0", hosts: ago > 20 ? 1 : ago > 5 ? 4 : 1 },
      { ago, version: NEW_VERSION, hosts: ago > 5 ? 0 : 3 },
    ]).flat();
    for (const { ago, version, hosts } of notes) {
      await sql`
      insert into version_adoption (day, package, version, hosts)
      values ((clock_timestamp() at time zone 'UTC')::date - ${ago}::integer, 'rollcall-agent', ${version}, ${hosts})
      on conflict do nothing`.execute(db);
    }
  }

  test.each(PAGES)(
    "the page %s has no fault that axe-core finds, narrow or wide, light or dark",
    async (name, address, ready) => {
      const { page } = visitor;
      await page.setViewportSize(SCREENS.desk);
      await page.goto(`${dashboard.plane.web}${address.replace("HOST", hostId)}`);
      await untilLive(page);
      await page.locator("main").getByText(ready).first().waitFor();
      await expectAccessible(page, name);
      expectNoFaults(visitor);
    },
  );
});

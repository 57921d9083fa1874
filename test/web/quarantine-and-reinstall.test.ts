import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LastUpdate_Outcome } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION, OLD_VERSION } from "../support/control-plane.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import { expectAccessible } from "./support/accessibility.ts";
import {
  expectNoFaults,
  keepPicture,
  SCREENS,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("what stands against a release", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    const artifact = buildVersionElf(NEW_VERSION, 100_000);
    const environment = { ROLLCALL_QUARANTINE_HOSTS: "1" };
    dashboard = await startDashboardPlane({}, artifact, environment, async (folder) => {
      const release = { version: NEW_VERSION, sequence: 2, artifact, installRevision: 2 };
      await writeTestRelease(join(folder, "releases"), release);
      await writeTestRelease(join(folder, "releases"), {
        version: OLD_VERSION,
        sequence: 1,
        artifact: buildVersionElf(OLD_VERSION, 50_000),
      });
    });
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  /** A host that rolls back, which quarantines what it was sent. */
  async function rollBack(name: string): Promise<ScriptedHost> {
    const { plane } = dashboard;
    const host = await ScriptedHost.enrol(plane, name);
    await host.hello({ installRevision: 2 });
    await plane.fleet.updateHost({ hostId: host.hostId });
    const jobId = await host.reachCommit();
    const reason = JobReason.CRASHED;
    await host.hello({ installRevision: 2, lastUpdate: { jobId, outcome: LastUpdate_Outcome.ROLLED_BACK, reason } });
    return host;
  }

  test("a quarantine shows wherever the target does, and is ignored for one host by who was told what that does", async () => {
    const { plane } = dashboard;
    const other = await ScriptedHost.enrol(plane, "web-01");
    await other.hello({ installRevision: 2 });
    await using viewer = await dashboard.visit(`/hosts/${other.hostId}`, { role: "viewer" });
    await using visitor = await dashboard.visit("/hosts");
    const { page } = visitor;
    await untilLive(page);
    const row = page.locator('[data-host="web-01"]');
    await row.getByRole("button", { name: "Update… web-01" }).waitFor();
    await rollBack("db-01");
    // Without a reload: the mark by the target, the row, and no update with one click any more.
    await page.getByRole("link", { name: "Quarantined for linux-x64" }).waitFor();
    await row.getByText("Target quarantined").waitFor();
    await row.getByRole("button", { name: "Update… web-01" }).waitFor({ state: "detached" });
    await viewer.page.getByRole("region", { name: "Target quarantined" }).waitFor();
    expect(await viewer.page.getByRole("button", { name: /quarantine/ }).count()).toBe(0);
    await expectAccessible(page, "hosts-quarantined", ["desk"]);
    await page.goto(`${plane.web}/settings/fleet-update`);
    await page.locator('[data-held="web-01"]').getByText("Target quarantined").waitFor();
    await page.getByText("No host that is online and behind can be updated now.").waitFor();
    await expectAccessible(page, "fleet-update-held", ["desk", "phone"]);
    await page.setViewportSize(SCREENS.desk);
    await page.goto(`${plane.web}/hosts/${other.hostId}`);
    await page.getByText(`${NEW_VERSION} is quarantined for linux-x64: it rolled back on other hosts.`).waitFor();
    await page.getByRole("button", { name: "Update despite quarantine…" }).click();
    const dialog = page.getByRole("alertdialog", {
      name: `Update web-01 although ${NEW_VERSION} is quarantined?`,
    });
    await dialog.getByText("The quarantine stays for all others.").waitFor();
    await expectAccessible(page, "host-despite-quarantine", ["desk", "phone"]);
    await dialog.getByRole("button", { name: "Ignore quarantine and update" }).click();
    expect((await other.commanded()).toVersion).toBe(NEW_VERSION);
    const { jobs } = await plane.fleet.listJobs({ hostId: other.hostId });
    expect(jobs.map(({ ignoreQuarantine }) => ignoreQuarantine)).toEqual([true]);
    expectNoFaults(visitor);
  });

  test("a quarantined build is told under Releases, and only an admin is offered to lift it", async () => {
    const { plane } = dashboard;
    await using viewer = await dashboard.visit("/settings/releases", { role: "viewer" });
    await viewer.page.getByText("Quarantined").waitFor();
    expect(await viewer.page.getByRole("button", { name: "Lift quarantine…" }).count()).toBe(0);
    await using visitor = await dashboard.visit("/settings/releases");
    const { page } = visitor;
    const release = page.getByRole("region", { name: `Release ${NEW_VERSION}` });
    await release.getByText("rolled back on 1 host").waitFor();
    await release.getByText("Quarantined").waitFor();
    await keepPicture(page, "release-quarantined");
    await release.getByRole("button", { name: "Lift quarantine…" }).click();
    const dialog = page.getByRole("alertdialog");
    await keepPicture(page, "release-lifting");
    await dialog.getByRole("button", { name: "Lift quarantine" }).click();
    await release.getByText("Quarantined").waitFor({ state: "detached" });
    await release.getByText("rolled back on 1 host").waitFor({ state: "detached" });
    const { releases } = await plane.fleet.listReleases({});
    expect(releases.find(({ version }) => version === NEW_VERSION)?.artifacts[0]?.quarantined).toBe(false);
    expectNoFaults(visitor);
  });

  test("a host whose unit is too old is marked everywhere, shows the line to run, and no update is offered", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.enrol(plane, "db-02");
    await host.hello({ installRevision: 1 });
    const { reinstallCommand } = await plane.fleet.getHost({ hostId: host.hostId });
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`);
    const { page } = visitor;
    const panel = page.getByRole("region", { name: "Needs reinstall" });
    await panel.getByText(reinstallCommand, { exact: true }).waitFor();
    await expectAccessible(page, "host-needs-reinstall", ["phone"]);
    const update = page.getByRole("button", { name: "Update agent…" });
    expect(await update.getAttribute("aria-disabled")).toBe("true");
    await page.setViewportSize(SCREENS.desk);
    await page.getByRole("link", { name: "Hosts", exact: true }).first().click();
    await page.locator('[data-host="db-02"]').getByText("Needs reinstall").waitFor();
    await page.getByRole("link", { name: "Start fleet update…" }).click();
    await page.locator('[data-held="db-02"]').getByText("Needs reinstall").waitFor();
    expect(await page.getByRole("checkbox", { name: /Take db-02/ }).count()).toBe(0);
    await page.locator('[data-held="db-02"]').getByRole("link", { name: "db-02" }).click();
    await panel.waitFor();
    await host.hello({ installRevision: 2 });
    await panel.waitFor({ state: "detached" });
    await page.locator('button[aria-disabled="false"]', { hasText: "Update agent…" }).waitFor();
    expectNoFaults(visitor);
  });

  test("another version is made the target once it was told what follows, and every page follows it", async () => {
    await using viewer = await dashboard.visit("/hosts", { role: "viewer" });
    await viewer.page.getByText(`Target version ${NEW_VERSION}`).waitFor();
    await using visitor = await dashboard.visit("/settings/releases");
    const { page } = visitor;
    const former = page.getByRole("region", { name: `Release ${OLD_VERSION}` });
    await former.getByRole("button", { name: "Make it the target…" }).click();
    const dialog = page.getByRole("alertdialog", { name: `Make ${OLD_VERSION} the target?` });
    await dialog.getByText("No host is updated until someone starts it.").waitFor();
    await expectAccessible(page, "release-target", ["desk"]);
    await dialog.getByRole("button", { name: "Set target" }).click();
    await former.getByText("Target", { exact: true }).waitFor();
    await viewer.page.getByText(`Target version ${OLD_VERSION}`).waitFor();
    expect(await viewer.page.getByTestId("tile-behind").textContent()).toMatch(/^\s*0\b/);
    expectNoFaults(visitor);
  });
});

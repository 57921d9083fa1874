import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LastUpdate_Outcome } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION } from "../support/control-plane.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import { expectNoFaults, keepPicture, startDashboardPlane, type DashboardPlane } from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("what stands against a release", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    const artifact = buildVersionElf(NEW_VERSION, 100_000);
    const environment = { ROLLCALL_QUARANTINE_HOSTS: "1" };
    dashboard = await startDashboardPlane({}, artifact, environment, async (folder) => {
      const release = { version: NEW_VERSION, sequence: 2, artifact, installRevision: 2 };
      await writeTestRelease(join(folder, "releases"), release);
    });
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("a quarantined build is told under Releases, and only an admin is offered to lift it", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.enrol(plane, "db-01");
    await host.hello({ installRevision: 2 });
    await plane.fleet.updateHost({ hostId: host.hostId });
    const jobId = await host.reachCommit();
    const reason = JobReason.CRASHED;
    await host.hello({ installRevision: 2, lastUpdate: { jobId, outcome: LastUpdate_Outcome.ROLLED_BACK, reason } });
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
    expect(releases[0]?.artifacts[0]?.quarantined).toBe(false);
    expectNoFaults(visitor);
  });

  test("a host whose unit is too old shows the line to run, and no update is offered", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.enrol(plane, "db-02");
    await host.hello({ installRevision: 1 });
    const { reinstallCommand } = await plane.fleet.getHost({ hostId: host.hostId });
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`);
    const { page } = visitor;
    const panel = page.getByRole("region", { name: "Needs reinstall" });
    await panel.getByText(reinstallCommand, { exact: true }).waitFor();
    await keepPicture(page, "host-needs-reinstall");
    const update = page.getByRole("button", { name: "Update agent…" });
    expect(await update.getAttribute("aria-disabled")).toBe("true");
    await host.hello({ installRevision: 2 });
    await panel.waitFor({ state: "detached" });
    await page.locator('button[aria-disabled="false"]', { hasText: "Update agent…" }).waitFor();
    expectNoFaults(visitor);
  });
});

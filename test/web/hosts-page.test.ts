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
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { LastUpdate_Outcome } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { ScriptedHost } from "../support/scripted-host.ts";
import { expectNoFaults, startDashboardPlane, type DashboardPlane } from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("the log of a version that was rolled back", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("is unfolded at its job, by a viewer too, and shows whatever the host sent as text", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "db-03");
    await plane.fleet.updateHost({ hostId: host.hostId });
    const jobId = await host.reachCommit();
    const log = Buffer.from('starting\n<img src=x onerror="alert(1)">\u001b[31m\u202ered\n');
    const outcome = LastUpdate_Outcome.ROLLED_BACK;
    await host.hello({ lastUpdate: { jobId, outcome, reason: JobReason.CRASHED, log } });
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}#job-${jobId}`, { role: "viewer" });
    const { page } = visitor;
    const shown = page.getByRole("region", { name: "Log of 2.0.0" });
    await page.getByText("What 2.0.0 said last").waitFor();
    expect(await shown.count()).toBe(0);
    await page.getByText("What 2.0.0 said last").click();
    await shown.waitFor();
    expect(await shown.textContent()).toBe('starting\n<img src=x onerror="alert(1)">[31mred');
    expectNoFaults(visitor);
  });
});

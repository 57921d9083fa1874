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

inChromium("the page of a host", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  test("a host's page tells why its update failed, and follows the next one to its end", async () => {
    const { plane } = dashboard;
    const host = await ScriptedHost.connect(plane, "db-02");
    await plane.fleet.updateHost({ hostId: host.hostId });
    const failed = await host.commanded();
    host.stream.sendProgress({
      jobId: failed.jobId,
      phase: UpdatePhase.FAILED,
      reason: JobReason.PROBE_FAILED,
      details: { detail: "it ended with status 1" },
    });
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`);
    const { page } = visitor;
    await page.getByRole("heading", { name: "Last update failed: new agent failed its test run" }).waitFor();
    await page
      .getByText("2.0.0 was downloaded whole but did not pass its test run on db-02: it ended with status 1.")
      .first()
      .waitFor();
    await keepPicture(page, "host-failed");
    await page.getByRole("button", { name: "Update agent…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Update agent" }).click();
    const { jobId } = await host.commanded();
    host.stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone: 400n, bytesTotal: 1000n });
    const running = page.getByRole("region", { name: "Running update" });
    await running.locator('[aria-current="step"]').getByText("40 %, 400 B of 1.0 kB").waitFor();
    await page.getByText(/^An update to 2\.0\.0 has been running for \d+ s\.$/).waitFor();
    await keepPicture(page, "host-updating");
    host.stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    await running.getByText("It was told to restart and cannot be cancelled any more.").waitFor();
    await host.helloUpdated(jobId, NEW_VERSION);
    await running.waitFor({ state: "detached" });
    await page.getByText(`Already runs ${NEW_VERSION}.`).waitFor();
    await page.getByRole("heading", { name: /^Last update failed/ }).waitFor({ state: "detached" });
    await page.getByText("Update succeeded").waitFor();
    expectNoFaults(visitor);
  });

  test("a viewer is offered nothing that a viewer may not do", async () => {
    const host = await ScriptedHost.connect(dashboard.plane, "web-09");
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`, { role: "viewer" });
    const { page } = visitor;
    await untilLive(page);
    await page.getByRole("heading", { name: "web-09" }).waitFor();
    await page.getByText("Out of date").waitFor();
    expect(await page.getByRole("button", { name: /Update|Remove/ }).count()).toBe(0);
    expect(await page.getByRole("link", { name: /Users|API tokens|Audit log/ }).count()).toBe(0);
    const refused = await page.evaluate(async (hostId) => {
      const response = await fetch("/rollcall.v1.FleetService/UpdateHost", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ hostId }),
      });
      return response.status;
    }, host.hostId);
    expect(refused).toBe(403);
  });

  test("a host is removed once its name was typed, and its page says so", async () => {
    const host = await ScriptedHost.connect(dashboard.plane, "old-01", OLD_VERSION);
    await using visitor = await dashboard.visit(`/hosts/${host.hostId}`);
    const { page } = visitor;
    await page.getByRole("button", { name: "Remove…" }).click();
    const dialog = page.getByRole("alertdialog");
    const deed = dialog.getByRole("button", { name: "Remove host" });
    expect(await deed.getAttribute("aria-disabled")).toBe("true");
    await dialog.getByLabel("Type old-01 to confirm").fill("old-01");
    await deed.click();
    await page.getByText("old-01 was removed.").waitFor();
    await page.locator('[data-host="old-01"]').waitFor({ state: "detached" });
    await page.goBack();
    await page.getByText("This host is not (or no longer) enrolled.").waitFor();
    expectNoFaults(visitor);
  });
});

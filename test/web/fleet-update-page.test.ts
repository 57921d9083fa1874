import { afterAll, beforeAll, expect, test } from "vitest";
import { UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION } from "../support/control-plane.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import {
  expectNoFaults,
  keepPicture,
  startDashboardPlane,
  untilLive,
  type DashboardPlane,
} from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

inChromium("the page of fleet updates", () => {
  let dashboard: DashboardPlane;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  /** Takes the host's next update to its end. */
  async function succeedNext(host: ScriptedHost): Promise<void> {
    await host.helloUpdated(await host.reachCommit(), NEW_VERSION);
  }

  test("a fleet update is planned, halts with its reason, and goes on without the host that failed", async () => {
    const { plane } = dashboard;
    const names = ["cache-01", "db-01", "db-02", "web-01", "web-02"];
    const hosts = new Map<string, ScriptedHost>();
    for (const name of names) hosts.set(name, await ScriptedHost.connect(plane, name));
    const host = (name: string): ScriptedHost => hosts.get(name) as ScriptedHost;
    await using visitor = await dashboard.visit("/settings/fleet-update");
    const { page } = visitor;
    await untilLive(page);
    await page.getByText(`5 hosts are behind ${NEW_VERSION}; 5 are online`).waitFor();
    // web-01 first, web-02 left out.
    for (const _step of [1, 2, 3]) await page.getByRole("button", { name: "Move web-01 up" }).click();
    await page.getByRole("checkbox", { name: /web-02/ }).uncheck();
    await keepPicture(page, "fleet-update-idle");
    await page.getByRole("button", { name: "Start fleet update…" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText(`Update 4 hosts to ${NEW_VERSION}?`).waitFor();
    await dialog.getByText("In this order: web-01, cache-01, db-01 and db-02.").waitFor();
    await dialog.getByRole("button", { name: "Start fleet update" }).click();
    await succeedNext(host("web-01"));
    const { jobId } = await host("cache-01").commanded();
    host("cache-01").stream.sendProgress({
      jobId,
      phase: UpdatePhase.DOWNLOADING,
      bytesDone: 1_100_000n,
      bytesTotal: 1_700_000n,
    });
    await page.locator('[data-member="cache-01"]').getByText("64 %").waitFor();
    expect(await page.getByTestId("fleet-progress").textContent()).toBe("1 of 4");
    expect(await page.title()).toBe("1 of 4 · Fleet update · Rollcall");
    await keepPicture(page, "fleet-update-running");
    host("cache-01").stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    await page.locator('[data-member="cache-01"]').getByText("Restarting").waitFor();
    await host("cache-01").helloUpdated(jobId, NEW_VERSION);
    const failing = await host("db-01").commanded();
    host("db-01").stream.sendProgress({
      jobId: failing.jobId,
      phase: UpdatePhase.FAILED,
      reason: JobReason.PREFLIGHT_NO_SPACE,
      details: { path: "/opt/rollcall", bytesFree: 61_000_000n, bytesNeeded: 118_000_000n },
    });
    await page.getByRole("heading", { name: "Halted at db-01: not enough disk space" }).waitFor();
    await page.getByText("db-01 has 61 MB free under /opt/rollcall and needs 118 MB.").waitFor();
    await page
      .getByText("db-01 still runs 1.0.0; nothing on it was replaced. The host after it was sent nothing.")
      .waitFor();
    await page.locator('[data-member="db-02"]').getByText("Not touched").waitFor();
    expect(await page.title()).toBe("Halted · Fleet update · Rollcall");
    expect(await page.locator('link[rel="icon"]').getAttribute("href")).toBe("/favicon-failed.svg");
    await keepPicture(page, "fleet-update-halted");
    await page.getByRole("button", { name: "Start again without db-01…" }).click();
    await dialog.getByText(`Update 1 host to ${NEW_VERSION}?`).waitFor();
    await dialog.getByRole("button", { name: "Start fleet update" }).click();
    await succeedNext(host("db-02"));
    await page.getByText("Completed", { exact: true }).first().waitFor();
    expect(await page.getByTestId("fleet-progress").textContent()).toBe("1 of 1");
    await keepPicture(page, "fleet-update-completed");
    expectNoFaults(visitor);
  });

  test("a running fleet update is cancelled once its consequences were named", async () => {
    const { plane } = dashboard;
    const first = await ScriptedHost.connect(plane, "win-01");
    await ScriptedHost.connect(plane, "win-02");
    await plane.fleet.startFleetUpdate({ hostIds: [first.hostId] });
    const { jobId } = await first.commanded();
    await using visitor = await dashboard.visit("/settings/fleet-update", { theme: "dark" });
    const { page } = visitor;
    await page.getByRole("button", { name: "Cancel fleet update…" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText("win-01 has not been told to restart: it is called off").waitFor();
    await keepPicture(page, "fleet-update-cancel-dialog-dark");
    // The way out is first: Enter right away leaves everything as it is.
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    expect((await plane.fleet.getJob({ jobId })).job?.endedAt).toBeUndefined();
    await page.getByRole("button", { name: "Cancel fleet update…" }).click();
    await dialog.getByRole("button", { name: "Cancel fleet update" }).click();
    await page.getByText("Cancelled", { exact: true }).first().waitFor();
    await page.locator('[data-member="win-01"]').getByText("Cancelled").waitFor();
    expectNoFaults(visitor);
  });

  test("from a halted fleet update somebody goes on to plan another", async () => {
    const { plane } = dashboard;
    const broken = await ScriptedHost.connect(plane, "zz-broken");
    await plane.fleet.startFleetUpdate({ hostIds: [broken.hostId] });
    const { jobId } = await broken.commanded();
    broken.stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PROBE_FAILED });
    await using visitor = await dashboard.visit("/settings/fleet-update");
    const { page } = visitor;
    await page.getByRole("heading", { name: "Halted at zz-broken: new agent failed its test run" }).waitFor();
    const past = page.getByRole("region", { name: "Past fleet updates" });
    await past.getByText("Cancelled after 0 of 1").waitFor();
    await past.getByText("Completed, 1 host").click();
    await page.locator('[data-member="db-02"]').getByText("Succeeded").waitFor();
    await page.goBack();
    await page.getByRole("button", { name: "Start another…" }).click();
    await page.getByText(/hosts are behind/).waitFor();
    await past.getByText("Halted after 0 of 1").waitFor();
    for (const other of await page.getByRole("checkbox", { name: /^Take (?!zz-broken)/ }).all()) {
      await other.setChecked(false);
    }
    await page.getByRole("button", { name: "Start fleet update…" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Start fleet update" }).click();
    // Of its own, and not a repetition of the halted one.
    await succeedNext(broken);
    await page.getByText("Completed", { exact: true }).first().waitFor();
    expect(await page.getByText("again, after an earlier one").count()).toBe(0);
    expectNoFaults(visitor);
  });
});

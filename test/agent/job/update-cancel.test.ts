import { afterAll, expect, test } from "vitest";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import type { PlatformStep } from "../fake-platform.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { createTestRelease } from "../test-release.ts";
import { UpdateHarness } from "../update-harness.ts";

const OTHER_JOB_ID = "44444444-4444-4444-8444-444444444444";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

test.each<PlatformStep>(["preflight", "openStage", "write", "complete", "probe", "swap"])(
  "a job that is cancelled during %s ends without a swap and without a failure",
  async (step) => {
    await using harness = await UpdateHarness.start();
    const held = harness.platform.hold(step);
    const { connection } = await harness.accept();
    harness.command(connection);
    if (step === "swap") {
      await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
      harness.commit(connection);
    }
    await held.reached;
    harness.cancel(connection);
    await harness.log.until("update_dropped");
    held.release();
    const next = await harness.reconnect(connection, 2n);
    expect(next.hello.activeJob).toBeUndefined();
    expect(next.hello.lastUpdate).toBeUndefined();
    expect(harness.platform.calls.slice(-1)).toEqual(["discard"]);
    expect(harness.platform.swaps).toEqual([]);
    expect(harness.log.events.map((logged) => logged.event)).not.toContain("update_failed");
    expect(harness.runner.isUrgent).toBe(false);
  },
);

test("a staged job that is cancelled is discarded at once, and its commit comes to nothing", async () => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  harness.cancel(connection);
  harness.commit(connection);
  await harness.log.until("commit_ignored");
  harness.command(connection);
  await harness.log.until("command_ignored");
  expect(harness.platform.calls.slice(-1)).toEqual(["discard"]);
  expect(harness.platform.staged).toBeUndefined();
});

test("a cancel for another job changes nothing", async () => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection);
  harness.cancel(connection, OTHER_JOB_ID);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  harness.cancel(connection, OTHER_JOB_ID);
  harness.commit(connection);
  await harness.runner.replaced;
});

test("another job's command drops the stage and begins anew, with what the first one left", async () => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  const other = createTestRelease("3.0");
  harness.serve(other);
  harness.command(connection, { jobId: OTHER_JOB_ID, toVersion: "3.0", manifestSha256: other.manifestSha256 });
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED && value.jobId === OTHER_JOB_ID);
  const stages = "preflight openStage complete probe";
  expect(harness.platform.calls.join(" ")).toBe(`${stages} leave ${stages}`);
  harness.commit(connection);
  await harness.log.until("commit_ignored");
  harness.commit(connection, { jobId: OTHER_JOB_ID, manifestSha256: other.manifestSha256 });
  await harness.runner.replaced;
  expect(harness.platform.swaps.map((order) => order.toVersion)).toEqual(["3.0"]);
});

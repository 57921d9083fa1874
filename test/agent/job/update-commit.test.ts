import { afterAll, describe, expect, test } from "vitest";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import type { FakeConnection } from "../../support/fake-agent-server.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { createTestRelease } from "../test-release.ts";
import { JOB_ID, UpdateHarness } from "../update-harness.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

async function stage(harness: UpdateHarness): Promise<FakeConnection> {
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  return connection;
}

async function failure(connection: FakeConnection) {
  return connection.progress(({ value }) => value.phase === UpdatePhase.FAILED);
}

test("an update goes from command over stage and commit to a swap, and says each step", async () => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection);
  const first = await connection.progress();
  expect(first).toMatchObject({ jobId: JOB_ID, phase: UpdatePhase.DOWNLOADING, bytesDone: 0n, bytesTotal: 20_580n });
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  expect(harness.platform.staged?.equals(harness.release.artifact)).toBe(true);
  expect(harness.runner.isUrgent).toBe(true);
  harness.commit(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.RESTARTING);
  await harness.runner.replaced;
  expect(harness.platform.calls).toEqual(["preflight", "openStage", "complete", "probe", "swap"]);
  expect(harness.platform.swaps[0]).toMatchObject({ jobId: JOB_ID, fromVersion: "1.0", toVersion: "2.0", sequence: 2 });
});

test("a commit that names another session, manifest or job swaps nothing; the right one still does", async () => {
  await using harness = await UpdateHarness.start();
  const connection = await stage(harness);
  harness.commit(connection, { sessionEpoch: 2n });
  harness.commit(connection, { manifestSha256: createTestRelease("3.0").manifestSha256 });
  harness.commit(connection, { manifestSha256: new Uint8Array() });
  harness.commit(connection, { jobId: "33333333-3333-4333-8333-333333333333" });
  await harness.log.until("commit_ignored", 4);
  expect(harness.platform.calls).not.toContain("swap");
  harness.commit(connection);
  await harness.runner.replaced;
  expect(harness.platform.swaps).toHaveLength(1);
});

test("a commit that is repeated swaps once", async () => {
  await using harness = await UpdateHarness.start();
  const swap = harness.platform.hold("swap");
  const connection = await stage(harness);
  harness.commit(connection);
  harness.commit(connection);
  await swap.reached;
  harness.commit(connection);
  await harness.log.until("commit_ignored", 2);
  swap.release();
  await harness.runner.replaced;
  harness.command(connection);
  harness.commit(connection);
  expect(harness.platform.swaps).toHaveLength(1);
});

test("a commit before the stage is whole is ignored", async () => {
  await using harness = await UpdateHarness.start();
  const probe = harness.platform.hold("probe");
  const { connection } = await harness.accept();
  harness.command(connection);
  await probe.reached;
  harness.commit(connection);
  await harness.log.until("commit_ignored");
  probe.release();
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  expect(harness.platform.calls).not.toContain("swap");
});

describe("a stage expires after 60 s", () => {
  test("without a commit", async () => {
    await using harness = await UpdateHarness.start();
    const connection = await stage(harness);
    harness.clock.advance(60_000);
    expect((await failure(connection)).reason).toBe(JobReason.COMMIT_EXPIRED);
    await harness.log.until("update_failed");
    expect(harness.platform.calls.slice(-1)).toEqual(["leave"]);
    harness.commit(connection);
    await harness.log.until("commit_ignored");
    expect(harness.platform.calls).not.toContain("swap");
  });

  test("although the machine slept and no timer ran: the commit comes too late", async () => {
    await using harness = await UpdateHarness.start();
    const connection = await stage(harness);
    harness.clock.jump(60_000);
    harness.commit(connection);
    expect((await failure(connection)).reason).toBe(JobReason.COMMIT_EXPIRED);
    expect(harness.platform.calls).not.toContain("swap");
  });

  test("and is asked for again right before the rename", async () => {
    await using harness = await UpdateHarness.start();
    const connection = await stage(harness);
    harness.clock.jump(59_000);
    const swap = harness.platform.hold("swap");
    harness.commit(connection);
    await swap.reached;
    harness.clock.jump(1_000);
    swap.release();
    expect(await failure(connection)).toMatchObject({
      reason: JobReason.COMMIT_EXPIRED,
      details: { detail: "too late for the rename" },
    });
    expect(harness.platform.swaps).toEqual([]);
  });
});

test("a swap that fails leaves this process running and reports why", async () => {
  await using harness = await UpdateHarness.start();
  harness.platform.before("swap", () => {
    throw new UpdateError(JobReason.SWAP_FAILED, { errorCode: "EIO", path: "/opt/agent\n", detail: "two\nlines" });
  });
  const connection = await stage(harness);
  harness.commit(connection);
  const failed = await failure(connection);
  expect(failed).toMatchObject({
    reason: JobReason.SWAP_FAILED,
    details: { errorCode: "EIO", path: "", detail: "two lines" },
  });
  harness.command(connection);
  expect((await failure(connection)).reason).toBe(JobReason.SWAP_FAILED);
  expect(harness.platform.calls.filter((call) => call === "swap")).toHaveLength(1);
});

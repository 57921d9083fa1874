import { afterAll, expect, test } from "vitest";
import { UPDATE_LIMITS } from "../../../agent/updater/update-limits.ts";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../open-sockets.ts";
import { sendBlocks } from "../test-release.ts";
import { UpdateHarness } from "../update-harness.ts";

const OTHER_JOB_ID = "44444444-4444-4444-8444-444444444444";
const { leftoverMs } = UPDATE_LIMITS;

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

test.each([
  ["download_failed", JobReason.DOWNLOAD_FAILED, "leave"],
  ["digest_mismatch", JobReason.DIGEST_MISMATCH, "leave"],
  ["preflight_no_space", JobReason.PREFLIGHT_NO_SPACE, "discard"],
  ["preflight_read_only", JobReason.PREFLIGHT_READ_ONLY, "discard"],
  ["probe_failed", JobReason.PROBE_FAILED, "discard"],
] as const)("after %s a stage is done with: %s %s", async (_, reason, end) => {
  await using harness = await UpdateHarness.start();
  harness.platform.before("complete", () => {
    throw new UpdateError(reason, { detail: "a test says so" });
  });
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.FAILED);
  await harness.reconnect(connection, 2n);
  expect(harness.platform.calls.slice(-1)).toEqual([end]);
});

test("the next job fetches only what the one before it did not", async () => {
  await using harness = await UpdateHarness.start();
  harness.server.script.fetchBlocks = async function* (request) {
    harness.fetches.push(request);
    for (const block of sendBlocks(harness.release, request)) {
      yield block.index === 4 && harness.fetches.length === 1 ? { ...block, data: Buffer.alloc(4096) } : block;
    }
  };
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.FAILED);
  harness.command(connection, { jobId: OTHER_JOB_ID });
  await connection.progress(({ value }) => value.jobId === OTHER_JOB_ID && value.phase === UpdatePhase.STAGED);
  expect(harness.fetches.at(-1)?.ranges.map(({ first, count }) => [first, count])).toEqual([[4, 2]]);
  expect(harness.platform.staged?.equals(harness.release.artifact)).toBe(true);
});

test("a release of which this host has every block is staged without asking for one", async () => {
  await using harness = await UpdateHarness.start();
  harness.platform.staged = Buffer.from(harness.release.artifact);
  const { connection } = await harness.accept();
  harness.command(connection);
  const reports = [await connection.progress(), await connection.progress()];
  expect(reports.map(({ phase, bytesDone }) => [phase, bytesDone])).toEqual([
    [UpdatePhase.DOWNLOADING, 0n],
    [UpdatePhase.DOWNLOADING, 20_580n],
  ]);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  expect(harness.fetches).toEqual([]);
});

test("a process that is stopped leaves its stage to the next one", async () => {
  const harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  await harness[Symbol.asyncDispose]();
  expect(harness.platform.calls.slice(-1)).toEqual(["leave"]);
});

test("what was left is removed once no job came for ten minutes, counted from the last one", async () => {
  await using harness = await UpdateHarness.start();
  harness.platform.before("complete", () => {
    throw new UpdateError(JobReason.DOWNLOAD_FAILED, { detail: "a test says so" });
  });
  const { connection } = await harness.accept();
  harness.clock.advance(leftoverMs - 1);
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.FAILED);
  await harness.reconnect(connection, 2n);
  const removed = harness.platform.hold("discard");
  harness.clock.advance(leftoverMs - 1);
  expect(harness.platform.calls.slice(-1)).toEqual(["leave"]);
  harness.clock.advance(1);
  await removed.reached;
  removed.release();
});

test("what an earlier process left is removed when ten minutes pass without a job", async () => {
  await using harness = await UpdateHarness.start();
  const removed = harness.platform.hold("discard");
  harness.clock.advance(leftoverMs);
  await removed.reached;
  removed.release();
});

test("a job under way keeps its stage however long it takes", async () => {
  await using harness = await UpdateHarness.start();
  const held = harness.platform.hold("complete");
  const { connection } = await harness.accept();
  harness.command(connection);
  await held.reached;
  harness.clock.advance(2 * leftoverMs);
  held.release();
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  expect(harness.platform.calls).not.toContain("discard");
});

import { afterAll, expect, test } from "vitest";
import { LastUpdate_Outcome, UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { JOB_ID, UpdateHarness } from "../update-harness.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

test("a stage outlives its session: the next Hello names it, and only a commit of the new session counts", async () => {
  await using harness = await UpdateHarness.start();
  const { connection, hello: first } = await harness.accept();
  expect(first.activeJob).toBeUndefined();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  const { connection: next, hello } = await harness.reconnect(connection, 2n);
  expect(hello.activeJob).toMatchObject({ jobId: JOB_ID, phase: UpdatePhase.STAGED });
  expect(Buffer.from(hello.activeJob?.manifestSha256 ?? []).equals(harness.release.manifestSha256)).toBe(true);
  harness.commit(next, { sessionEpoch: 1n });
  await harness.log.until("commit_ignored");
  harness.commit(next, { sessionEpoch: 2n });
  await harness.runner.replaced;
});

test("what changed between Hello and Welcome is reported after Welcome", async () => {
  await using harness = await UpdateHarness.start();
  const probe = harness.platform.hold("probe");
  const { connection } = await harness.accept();
  harness.command(connection);
  await probe.reached;
  connection.end();
  const pause = await harness.log.until("reconnect_pause");
  harness.clock.advance(Number(pause["pause_ms"]));
  const next = await harness.server.connections.take();
  expect((await next.hello()).activeJob?.phase).toBe(UpdatePhase.DOWNLOADING);
  probe.release();
  await harness.log.until("update_staged");
  next.welcome(2n);
  expect((await next.progress()).phase).toBe(UpdatePhase.STAGED);
});

test("a failure while no session was open is told by the next Hello, and repeated when the job is commanded again", async () => {
  await using harness = await UpdateHarness.start();
  const probe = harness.platform.hold("probe");
  const { connection } = await harness.accept();
  harness.command(connection);
  await probe.reached;
  connection.end();
  const pause = await harness.log.until("reconnect_pause");
  probe.release(new UpdateError(JobReason.PROBE_FAILED, { exitStatus: 3 }));
  await harness.log.until("update_failed");
  harness.clock.advance(Number(pause["pause_ms"]));
  const { connection: next, hello } = await harness.accept(2n);
  expect(hello.activeJob).toBeUndefined();
  expect(hello.lastUpdate).toMatchObject({
    jobId: JOB_ID,
    outcome: LastUpdate_Outcome.FAILED,
    reason: JobReason.PROBE_FAILED,
  });
  harness.command(next);
  expect(await next.progress()).toMatchObject({ phase: UpdatePhase.FAILED, reason: JobReason.PROBE_FAILED });
  expect(harness.platform.calls.filter((call) => call === "preflight")).toHaveLength(1);
});

test("the outcome of the last update is kept until the next job", async () => {
  await using harness = await UpdateHarness.start({
    kind: "ended",
    jobId: "55555555-5555-4555-8555-555555555555",
    outcome: "rolledBack",
    reason: JobReason.CRASHED,
    details: { expectedVersion: "2.0" },
  });
  const { connection, hello } = await harness.accept();
  expect(hello.lastUpdate).toMatchObject({ outcome: LastUpdate_Outcome.ROLLED_BACK, reason: JobReason.CRASHED });
  expect(harness.runner.isUrgent).toBe(false);
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  const next = await harness.reconnect(connection, 2n);
  expect(next.hello.lastUpdate).toBeUndefined();
});

test("a command that is repeated for the job under way is answered with where it stands", async () => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection);
  await connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
  harness.command(connection);
  expect(await connection.progress()).toMatchObject({ phase: UpdatePhase.STAGED, bytesDone: 20_580n });
  expect(harness.platform.calls.filter((call) => call === "preflight")).toHaveLength(1);
});

test("a command to the version that runs here already ends in a Hello that says so", async () => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection, { fromVersion: "0.9", toVersion: "1.0" });
  const pause = await harness.log.until("reconnect_pause");
  harness.clock.advance(Number(pause["pause_ms"]));
  const { hello } = await harness.accept(2n);
  expect(hello).toMatchObject({
    agentVersion: "1.0",
    lastUpdate: { jobId: JOB_ID, outcome: LastUpdate_Outcome.SUCCEEDED },
  });
});

test("an unconfirmed update is confirmed by the first Welcome, not before, and told by the next Hello", async () => {
  await using harness = await UpdateHarness.start({ kind: "unconfirmed", jobId: JOB_ID, toVersion: "1.0" });
  expect(harness.runner.isUrgent).toBe(true);
  const connection = await harness.server.connections.take();
  expect((await connection.hello()).lastUpdate).toBeUndefined();
  expect(harness.platform.calls).toEqual([]);
  connection.welcome(1n);
  await harness.log.until("update_confirmed");
  expect(harness.runner.isUrgent).toBe(false);
  const next = await harness.reconnect(connection, 2n);
  expect(next.hello.lastUpdate).toMatchObject({ jobId: JOB_ID, outcome: LastUpdate_Outcome.SUCCEEDED });
  expect(harness.platform.calls).toEqual(["confirm"]);
});

test("a confirmation that the disk refuses is tried again each second", async () => {
  await using harness = await UpdateHarness.start({ kind: "unconfirmed", jobId: JOB_ID, toVersion: "1.0" });
  harness.platform.before("confirm", (attempt) => {
    if (attempt < 3) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
  });
  await harness.accept();
  for (let attempt = 1; attempt < 3; attempt += 1) {
    await harness.log.until("confirm_failed", attempt);
    await harness.clock.untilSleeping((delayMs) => delayMs === 1_000);
    harness.clock.advance(1_000);
  }
  await harness.log.until("update_confirmed");
});

test("an update that the guard decided about first is not told as a success", async () => {
  await using harness = await UpdateHarness.start({ kind: "unconfirmed", jobId: JOB_ID, toVersion: "1.0" });
  harness.platform.isConfirmable = false;
  const { connection } = await harness.accept();
  await harness.log.until("update_not_confirmed");
  const next = await harness.reconnect(connection, 2n);
  expect(next.hello.lastUpdate).toBeUndefined();
});

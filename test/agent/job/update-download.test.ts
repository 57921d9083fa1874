import { zstdCompressSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { BlockEncoding, UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import type { FakeConnection, Rejection } from "../../support/fake-agent-server.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { createTestRelease, sendBlocks, type ManifestLies } from "../test-release.ts";
import { describeRelease, UpdateHarness } from "../update-harness.ts";

const UNAVAILABLE: Rejection = { code: status.UNAVAILABLE, details: "restarting" };
/** Half of the greatest pause between attempts, as the tests' randomness has it. */
const PAUSE_MS = 1_500;

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

async function failure(connection: FakeConnection) {
  return connection.progress(({ value }) => value.phase === UpdatePhase.FAILED);
}

async function staged(connection: FakeConnection) {
  return connection.progress(({ value }) => value.phase === UpdatePhase.STAGED);
}

/** Makes the first `brokenTimes` streams break after two blocks. */
function breakStreams(harness: UpdateHarness, brokenTimes: number): void {
  harness.server.script.fetchBlocks = (request) => {
    harness.fetches.push(request);
    const isBroken = harness.fetches.length <= brokenTimes;
    return (async function* () {
      let sent = 0;
      for (const block of sendBlocks(harness.release, request)) {
        if (isBroken && sent === 2) throw UNAVAILABLE;
        sent += 1;
        yield block;
      }
    })();
  };
}

function ranges(harness: UpdateHarness) {
  return harness.fetches.map((request) => request.ranges.map(({ first, count }) => [first, count]));
}

test("streams that break are resumed, and only what is missing is asked for", async () => {
  await using harness = await UpdateHarness.start();
  breakStreams(harness, 2);
  const { connection } = await harness.accept();
  harness.command(connection);
  for (let pause = 0; pause < 2; pause += 1) {
    await harness.clock.untilSleeping((delayMs) => delayMs === PAUSE_MS);
    harness.clock.advance(PAUSE_MS);
  }
  await staged(connection);
  expect(ranges(harness)).toEqual([[[0, 6]], [[2, 4]], [[4, 2]]]);
  expect(harness.platform.staged?.equals(harness.release.artifact)).toBe(true);
});

test("a download goes on over the next session when its own is lost", async () => {
  await using harness = await UpdateHarness.start();
  breakStreams(harness, 1);
  const { connection } = await harness.accept();
  harness.command(connection);
  await harness.clock.untilSleeping((delayMs) => delayMs === PAUSE_MS);
  connection.end();
  await harness.log.until("reconnect_pause");
  harness.clock.advance(PAUSE_MS);
  const { connection: next, hello } = await harness.accept(2n);
  expect(hello.activeJob?.phase).toBe(UpdatePhase.DOWNLOADING);
  harness.command(next);
  await harness.clock.untilSleeping((delayMs) => delayMs === PAUSE_MS);
  harness.clock.advance(PAUSE_MS);
  await staged(next);
  expect(ranges(harness)).toEqual([[[0, 6]], [[2, 4]]]);
});

test("blocks that come compressed are taken", async () => {
  await using harness = await UpdateHarness.start();
  harness.server.script.fetchBlocks = async function* (request) {
    for (const block of sendBlocks(harness.release, request)) {
      yield { ...block, encoding: BlockEncoding.ZSTD, data: zstdCompressSync(block.data) };
    }
  };
  const { connection } = await harness.accept();
  harness.command(connection);
  await staged(connection);
  expect(harness.platform.staged?.equals(harness.release.artifact)).toBe(true);
});

describe("a block ends the job when it", () => {
  test.each<[string, (data: Buffer) => { encoding: BlockEncoding; data: Buffer }, JobReason]>([
    ["is damaged", (data) => ({ encoding: 1, data: Buffer.from(data).fill(0, 0, 1) }), JobReason.DIGEST_MISMATCH],
    ["is too short", (data) => ({ encoding: 1, data: data.subarray(1) }), JobReason.DIGEST_MISMATCH],
    ["is too long", (data) => ({ encoding: 1, data: Buffer.concat([data, data]) }), JobReason.DIGEST_MISMATCH],
    [
      "inflates without end",
      () => ({ encoding: 2, data: zstdCompressSync(Buffer.alloc(1 << 24)) }),
      JobReason.DIGEST_MISMATCH,
    ],
    ["is no zstd", (data) => ({ encoding: 2, data }), JobReason.DIGEST_MISMATCH],
    ["has an unknown encoding", (data) => ({ encoding: 9 as BlockEncoding, data }), JobReason.DOWNLOAD_FAILED],
  ])("%s", async (_, spoil, reason) => {
    await using harness = await UpdateHarness.start();
    harness.server.script.fetchBlocks = async function* (request) {
      for (const block of sendBlocks(harness.release, request)) {
        yield block.index === 3 ? { ...block, ...spoil(block.data) } : block;
      }
    };
    const { connection } = await harness.accept();
    harness.command(connection);
    const failed = await failure(connection);
    expect(failed.reason).toBe(reason);
    expect(failed.details?.detail).toContain("block 3");
    await harness.reconnect(connection, 2n);
    expect(harness.platform.calls).toEqual(["preflight", "openStage", "leave"]);
  });

  test("was not asked for", async () => {
    await using harness = await UpdateHarness.start();
    harness.server.script.fetchBlocks = async function* () {
      yield { index: 77, encoding: BlockEncoding.IDENTITY, data: Buffer.from("x") };
    };
    const { connection } = await harness.accept();
    harness.command(connection);
    expect(await failure(connection)).toMatchObject({ reason: JobReason.DOWNLOAD_FAILED });
  });
});

test("60 s in which nothing new comes end the job", async () => {
  await using harness = await UpdateHarness.start();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: silence, resolve: speak } = Promise.withResolvers<void>();
  harness.server.script.fetchBlocks = async function* (request) {
    ask();
    await silence;
    yield* sendBlocks(harness.release, request);
  };
  const { connection } = await harness.accept();
  harness.command(connection);
  await asked;
  harness.clock.advance(60_000);
  const failed = await failure(connection);
  expect(failed.reason).toBe(JobReason.DOWNLOAD_FAILED);
  expect(failed.details?.detail).toContain("nothing new came for 60 s");
  speak();
});

test("a server that says the job is not this host's is not asked again", async () => {
  await using harness = await UpdateHarness.start();
  let asked = 0;
  harness.server.script.fetchManifest = () => {
    asked += 1;
    return { code: status.FAILED_PRECONDITION, details: "not in this job" };
  };
  const { connection } = await harness.accept();
  harness.command(connection);
  expect(await failure(connection)).toMatchObject({ reason: JobReason.DOWNLOAD_FAILED });
  expect(asked).toBe(1);
});

describe("a release is refused before a byte of it is fetched when", () => {
  test.each<[string, ManifestLies, JobReason]>([
    ["it is of another product", { product: "other" }, JobReason.DOWNLOAD_FAILED],
    ["it is another version", { version: "2.1" }, JobReason.WRONG_VERSION],
    ["it has no artifact for this platform", { platform: "linux-arm64" }, JobReason.PREFLIGHT_WRONG_PLATFORM],
    ["its block list is another", { blockListSha256: "0".repeat(64) }, JobReason.DIGEST_MISMATCH],
    ["its block list has another length", { sizeBytes: 1_000_000n }, JobReason.DOWNLOAD_FAILED],
    ["it has too many blocks", { sizeBytes: 536_870_912n }, JobReason.DOWNLOAD_FAILED],
    ["its manifest breaks a rule", { blockSizeBytes: 1 }, JobReason.DOWNLOAD_FAILED],
  ])("%s", async (_, lies, reason) => {
    await using harness = await UpdateHarness.start();
    const release = createTestRelease("2.0", lies);
    harness.serve(release);
    const { connection } = await harness.accept();
    harness.command(connection, { manifestSha256: release.manifestSha256 });
    expect(await failure(connection)).toMatchObject({ reason });
    expect(harness.fetches).toEqual([]);
    expect(harness.platform.calls).not.toContain("openStage");
  });

  test("its manifest is not the one that the command names", async () => {
    await using harness = await UpdateHarness.start();
    const { connection } = await harness.accept();
    harness.command(connection, { manifestSha256: Buffer.alloc(32) });
    const failed = await failure(connection);
    expect(failed.reason).toBe(JobReason.DIGEST_MISMATCH);
    expect(failed.details).toMatchObject({
      expectedSha256: "0".repeat(64),
      actualSha256: harness.release.manifestSha256.toString("hex"),
    });
  });

  test("its manifest is larger than 256 KiB", async () => {
    await using harness = await UpdateHarness.start();
    const manifest = Buffer.concat([harness.release.manifest, Buffer.alloc(256 * 1024, " ")]);
    harness.server.script.fetchManifest = () => ({ ...describeRelease(harness.release), manifest });
    const { connection } = await harness.accept();
    harness.command(connection);
    expect((await failure(connection)).details?.detail).toContain("at most 262144 are read");
  });
});

test.each([
  ["another version runs here", { fromVersion: "0.9" }, JobReason.WRONG_VERSION],
  ["the package is another", { package: "other" }, JobReason.DOWNLOAD_FAILED],
  ["the new version is no version", { toVersion: "../2.0" }, JobReason.WRONG_VERSION],
])("a command is refused when %s", async (_, changes, reason) => {
  await using harness = await UpdateHarness.start();
  const { connection } = await harness.accept();
  harness.command(connection, changes);
  expect(await failure(connection)).toMatchObject({ reason });
  expect(harness.fetches).toEqual([]);
});

test.each(["preflight", "openStage", "write", "complete", "probe"] as const)(
  "what the host says in %s is reported with its facts, and the stage is discarded",
  async (step) => {
    await using harness = await UpdateHarness.start();
    harness.platform.before(step, () => {
      throw new UpdateError(JobReason.PREFLIGHT_NO_SPACE, { bytesFree: 5n, bytesNeeded: 9n, path: "/opt" });
    });
    const { connection } = await harness.accept();
    harness.command(connection);
    const failed = await failure(connection);
    expect(failed.reason).toBe(JobReason.PREFLIGHT_NO_SPACE);
    expect(failed.details).toMatchObject({ bytesFree: 5n, bytesNeeded: 9n, path: "/opt" });
    await harness.reconnect(connection, 2n);
    expect(harness.platform.calls.slice(-1)).toEqual(["discard"]);
  },
);

/**
 * Each way in which an update can fail, with the built agent, a real server and
 * the durations as shipped. The agent that ignores its command is in
 * test/server/watcher/real-deadlines.test.ts.
 */
import { open, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { findLeaks } from "../agent/updater/leak-check.ts";
import { NEW_VERSION, type ControlPlane } from "../support/control-plane.ts";
import { buildTinyElf, buildVersionElf } from "../support/tiny-elf.ts";
import { createFailureSite, failUpdate, type FailureSite } from "./failing-update.ts";

const SIZE_BYTES = 400_000;
const ARM64 = 183;
let site: FailureSite;
beforeAll(async () => {
  site = await createFailureSite();
}, 120_000);
afterAll(() => site[Symbol.asyncDispose]());

describe.concurrent("an update fails, and says why,", () => {
  it("when the server's artifact lost its end", async () => {
    await using plane = await site.startPlane();
    await truncate(artifactOf(plane), SIZE_BYTES / 2);
    const { job, disturbances } = await failUpdate(site, plane, "truncated");
    expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.DOWNLOAD_FAILED });
    expect(job.details).toMatchObject({ lastState: JobState.DOWNLOADING });
    expect(job.details?.detail).toContain("missing or damaged");
    expect(disturbances).toEqual([]);
  });

  it("when one byte of the server's artifact changed", async () => {
    await using plane = await site.startPlane();
    await flipByte(artifactOf(plane), 300_000);
    const { job, disturbances } = await failUpdate(site, plane, "corrupted");
    expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.DIGEST_MISMATCH });
    expect(job.details).toMatchObject({
      lastState: JobState.DOWNLOADING,
      detail: "block 4 was damaged on its way or on the server",
    });
    expect(job.details?.expectedSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(job.details?.actualSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(job.details?.actualSha256).not.toBe(job.details?.expectedSha256);
    expect(disturbances).toEqual([]);
  });

  it("when the artifact is a program for another machine", async () => {
    const artifact = buildTinyElf({ prints: `${NEW_VERSION}\n`, sizeBytes: SIZE_BYTES, machine: ARM64 });
    await using plane = await site.startPlane(artifact);
    const { job, host, disturbances } = await failUpdate(site, plane, "other-machine");
    expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PREFLIGHT_WRONG_PLATFORM });
    expect(job.details).toMatchObject({
      path: host.paths.staged,
      platform: "linux-x64",
      artifactPlatform: "linux-arm64",
    });
    expect(disturbances).toEqual([]);
  });

  it("when the new binary's probe ends with a status", async () => {
    const ending = { exit: 3 };
    const artifact = buildTinyElf({ prints: "no such luck\n", stream: 2, ending, sizeBytes: SIZE_BYTES });
    await using plane = await site.startPlane(artifact);
    const { job, host, disturbances } = await failUpdate(site, plane, "unlucky-probe");
    expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PROBE_FAILED });
    expect(job.details).toMatchObject({
      path: host.paths.staged,
      expectedVersion: NEW_VERSION,
      exitStatus: 3,
      detail: "no such luck",
    });
    expect(disturbances).toEqual([]);
  });

  it("when the new binary says that it is another version", async () => {
    await using plane = await site.startPlane(buildVersionElf("9.9.9", SIZE_BYTES));
    const { job, disturbances } = await failUpdate(site, plane, "other-version");
    expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PROBE_FAILED });
    expect(job.details).toMatchObject({ expectedVersion: NEW_VERSION, actualVersion: "9.9.9", exitStatus: 0 });
    expect(disturbances).toEqual([]);
  });

  it("when the disk could not keep its reserve", async () => {
    await using plane = await site.startPlane();
    const reserveBytes = 2 ** 50;
    const { job, host, disturbances } = await failUpdate(site, plane, "great-reserve", { reserveBytes });
    expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PREFLIGHT_NO_SPACE });
    expect(job.details).toMatchObject({ path: host.paths.folder, errorCode: "ENOSPC" });
    expect(job.details?.bytesNeeded).toBeGreaterThan(reserveBytes);
    expect(job.details?.bytesFree).toBeLessThan(reserveBytes);
    expect(disturbances).toEqual([]);
  });
});

function artifactOf(plane: ControlPlane): string {
  return join(plane.releasesDir, NEW_VERSION, "linux-x64", "rollcall-agent");
}

async function flipByte(path: string, position: number): Promise<void> {
  await using file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, position);
}

afterAll(async () => expect(await findLeaks("rollcall-failures-")).toEqual([]));

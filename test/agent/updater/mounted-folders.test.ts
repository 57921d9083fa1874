import { execFile } from "node:child_process";
import { mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { findLeaks } from "./leak-check.ts";
import { BLOCK_BYTES, createUpdateFixture, failureOf, stageBytes } from "./update-fixture.ts";

const run = promisify(execFile);

/** What another run left mounted is not ours. */
const MOUNT_PREFIX = `rollcall-updater-mount-${process.pid}-`;

/** A small file system of its own, mounted with these options. */
async function mountTmpfs(options: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await realpath(await mkdtemp(join(tmpdir(), MOUNT_PREFIX)));
  try {
    await run("mount", ["-t", "tmpfs", "-o", options, "rollcall-test", path]);
  } catch (error) {
    await rm(path, { recursive: true });
    throw error;
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await run("umount", [path]);
      await rm(path, { recursive: true });
    },
  };
}

async function findReasonNotToMount(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "mounting needs root; run: sudo npm test";
  return mountTmpfs("size=64k").then(
    async (mounted) => mounted[Symbol.asyncDispose]().then(() => undefined),
    (error: unknown) => `this machine allows no mounts: ${String(error)}`,
  );
}

const reasonToSkip = await findReasonNotToMount();

describe.skipIf(reasonToSkip !== undefined)(
  `on a file system of its own${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    it("a read-only folder is told before a byte is fetched", async () => {
      await using mounted = await mountTmpfs("size=8m,mode=0700");
      const fixture = await createUpdateFixture(mounted.path);
      await run("mount", ["-o", "remount,ro", mounted.path]);
      const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
      expect(failure).toMatchObject({
        reason: JobReason.PREFLIGHT_READ_ONLY,
        details: { path: fixture.paths.folder, errorCode: "EROFS" },
      });
      // The same answer when it turns read-only after the preflight.
      const late = await failureOf(fixture.platform().openStage(fixture.artifact, fixture.blockDigests));
      expect(late).toMatchObject({ reason: JobReason.PREFLIGHT_READ_ONLY, details: { errorCode: "EROFS" } });
      await expectOldBinary(fixture);
      await run("mount", ["-o", "remount,rw", mounted.path]);
    });

    it("a folder that runs no programs is told before a byte is fetched, and by the probe at the latest", async () => {
      await using mounted = await mountTmpfs("size=8m,mode=0700,noexec");
      const fixture = await createUpdateFixture(mounted.path);
      const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
      expect(failure).toMatchObject({
        reason: JobReason.PREFLIGHT_NOT_EXECUTABLE,
        details: { path: fixture.paths.folder },
      });
      const platform = fixture.platform();
      await stageBytes(platform, fixture.artifact, fixture.newBytes);
      const late = await failureOf(platform.probe(fixture.artifact, new AbortController().signal));
      expect(late).toMatchObject({ reason: JobReason.PREFLIGHT_NOT_EXECUTABLE, details: { errorCode: "EACCES" } });
      await expectOldBinary(fixture);
    });

    it("a folder that is too small is told before a byte is fetched", async () => {
      await using mounted = await mountTmpfs("size=1m,mode=0700");
      const fixture = await createUpdateFixture(mounted.path);
      const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
      expect(failure).toMatchObject({ reason: JobReason.PREFLIGHT_NO_SPACE, details: { path: fixture.paths.folder } });
      expect(failure.details.bytesFree).toBeLessThan(800_000n);
      expect(failure.details.bytesNeeded).toBeGreaterThan(1_400_000n);
    });

    it("a disk with room for the artifact, but not for a copy of the longer binary, is enough", async () => {
      await using mounted = await mountTmpfs("size=1500k,mode=0700");
      const fixture = await createUpdateFixture(mounted.path);
      await writeFile(fixture.paths.binary, Buffer.concat([fixture.newBytes, Buffer.alloc(500_000, 1)]));
      const stage = await fixture.platform().openStage(fixture.artifact, fixture.blockDigests);
      expect([...stage.present].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
      await stage.write(6, fixture.newBytes.subarray(6 * BLOCK_BYTES));
      await stage.complete();
      await stage.untilDurable();
      expect(await readFile(fixture.paths.staged)).toEqual(fixture.newBytes);
    });

    it("what an earlier attempt left counts as free, for it is used or deleted", async () => {
      await using mounted = await mountTmpfs("size=2m,mode=0700");
      const fixture = await createUpdateFixture(mounted.path);
      await writeFile(fixture.paths.staged, Buffer.alloc(1_500_000, 1));
      await fixture.platform().preflight(fixture.artifact, 0);
      await stageBytes(fixture.platform(), fixture.artifact, fixture.newBytes);
      expect((await stat(fixture.paths.staged)).size).toBe(fixture.newBytes.length);
    });

    it("a disk that fills up while blocks arrive is told with its numbers, and the partial file can be dropped", async () => {
      await using mounted = await mountTmpfs("size=512k,mode=0700");
      const fixture = await createUpdateFixture(mounted.path);
      const platform = fixture.platform();
      const failure = await failureOf(stageBytes(platform, fixture.artifact, fixture.newBytes));
      expect(failure).toMatchObject({
        reason: JobReason.PREFLIGHT_NO_SPACE,
        details: { errorCode: "ENOSPC", bytesNeeded: 400_000n },
      });
      await platform.discard();
      await expect(stat(fixture.paths.staged)).rejects.toThrow("ENOENT");
      await expectOldBinary(fixture);
    });
  },
);

async function expectOldBinary(fixture: Awaited<ReturnType<typeof createUpdateFixture>>): Promise<void> {
  expect(await readFile(fixture.paths.binary)).toEqual(fixture.oldBytes);
}

afterAll(async () => {
  expect(await findLeaks("rollcall-updater-")).toEqual([]);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(MOUNT_PREFIX);
});

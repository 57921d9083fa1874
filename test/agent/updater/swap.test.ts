import { execFile } from "node:child_process";
import { mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { readJournal } from "../../../agent/updater/journal.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { buildVersionElf } from "../../support/tiny-elf.ts";
import { findLeaks } from "./leak-check.ts";
import {
  createUpdateFixture,
  describeArtifact,
  digestOf,
  failureOf,
  JOB_ID,
  sha256,
  stageBytes,
  swapOrder,
  type UpdateFixture,
} from "./update-fixture.ts";

const run = promisify(execFile);

async function stagedPlatform(fixture: UpdateFixture): Promise<ReturnType<UpdateFixture["platform"]>> {
  const platform = fixture.platform();
  await platform.settle();
  await platform.preflight(fixture.artifact, 0);
  await stageBytes(platform, fixture.artifact, fixture.newBytes);
  await platform.probe(fixture.artifact, new AbortController().signal);
  return platform;
}

async function expectOld(fixture: UpdateFixture): Promise<void> {
  expect(await digestOf(fixture.paths.binary)).toBe(sha256(fixture.oldBytes));
  expect(await digestOf(fixture.paths.oldTemporary)).toBeUndefined();
}

describe("a swap", () => {
  it("puts the new binary in place, keeps the old one, and is unconfirmed until a server welcomed it", async () => {
    await using fixture = await createUpdateFixture();
    const platform = await stagedPlatform(fixture);
    await platform.swap(fixture.artifact, swapOrder());
    expect((await run(fixture.paths.binary)).stdout).toBe("2.0.0\n");
    expect((await run(fixture.paths.old)).stdout).toBe("1.0.0\n");
    expect(await digestOf(fixture.paths.staged)).toBeUndefined();
    expect(await digestOf(fixture.paths.oldTemporary)).toBeUndefined();
    expect((await stat(fixture.paths.journal)).mode & 0o777).toBe(0o600);
    expect(await readJournal(fixture.paths)).toMatchObject({
      state: "unconfirmed",
      jobId: JOB_ID,
      fromSha256: sha256(fixture.oldBytes),
      toSha256: fixture.artifact.sha256,
      fromVersion: "1.0.0",
      toVersion: "2.0.0",
      sequence: 7,
      bootId: (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim(),
      reason: "none",
    });
    const next = fixture.platform({ ownVersion: "2.0.0" });
    expect(await next.settle()).toEqual({ kind: "unconfirmed", jobId: JOB_ID, toVersion: "2.0.0" });
    expect(await next.confirm(JOB_ID)).toBe(true);
    expect(await next.settle()).toMatchObject({ kind: "ended", jobId: JOB_ID, outcome: "succeeded" });
    expect((await run(fixture.paths.old)).stdout).toBe("1.0.0\n");
  });

  it("never leaves the path without a whole binary while another process looks on", async () => {
    await using fixture = await createUpdateFixture();
    const platform = await stagedPlatform(fixture);
    const seen = new Set<string | undefined>();
    const swapping = { isDone: false };
    const looking = (async () => {
      while (!swapping.isDone) seen.add(await digestOf(fixture.paths.binary));
    })();
    await platform.swap(fixture.artifact, swapOrder());
    swapping.isDone = true;
    await looking;
    expect([sha256(fixture.oldBytes), fixture.artifact.sha256]).toEqual(expect.arrayContaining([...seen]));
    expect(seen.size).toBeGreaterThan(0);
  });

  it("drops everything when the commit is withdrawn before it begins", async () => {
    await using fixture = await createUpdateFixture();
    const platform = await stagedPlatform(fixture);
    const failure = await failureOf(platform.swap(fixture.artifact, swapOrder({ isStillAllowed: () => false })));
    expect(failure.reason).toBe(JobReason.COMMIT_EXPIRED);
    await expectOld(fixture);
    expect(await readJournal(fixture.paths)).toBeUndefined();
  });

  it("asks again right before the rename, and then leaves a journal that says failed", async () => {
    await using fixture = await createUpdateFixture();
    const platform = await stagedPlatform(fixture);
    const answers = [true, false];
    const isStillAllowed = (): boolean => answers.shift() ?? false;
    const failure = await failureOf(platform.swap(fixture.artifact, swapOrder({ isStillAllowed })));
    expect(failure.reason).toBe(JobReason.COMMIT_EXPIRED);
    expect(answers).toEqual([]);
    expect((await readJournal(fixture.paths))?.state).toBe("failed");
    await expectOld(fixture);
    expect(await digestOf(fixture.paths.staged)).toBeUndefined();
    expect(await fixture.platform().settle()).toMatchObject({
      kind: "ended",
      outcome: "failed",
      reason: JobReason.COMMIT_EXPIRED,
    });
  });

  it("can follow one that failed after the predecessor was kept", async () => {
    await using fixture = await createUpdateFixture();
    const answers = [true, false];
    await failureOf(
      (await stagedPlatform(fixture)).swap(
        fixture.artifact,
        swapOrder({ isStillAllowed: () => answers.shift() ?? false }),
      ),
    );
    // Now `.old` and the binary are two names of one file.
    expect((await stat(fixture.paths.old)).ino).toBe((await stat(fixture.paths.binary)).ino);
    await (await stagedPlatform(fixture)).swap(fixture.artifact, swapOrder());
    expect((await run(fixture.paths.binary)).stdout).toBe("2.0.0\n");
    expect((await run(fixture.paths.old)).stdout).toBe("1.0.0\n");
    expect(await digestOf(fixture.paths.oldTemporary)).toBeUndefined();
  });

  it("keeps only its direct predecessor over several updates", async () => {
    await using fixture = await createUpdateFixture();
    for (const [fromVersion, toVersion] of [
      ["1.0.0", "2.0.0"],
      ["2.0.0", "3.0.0"],
      ["3.0.0", "4.0.0"],
    ] as const) {
      const bytes = buildVersionElf(toVersion, 350_000);
      const artifact = describeArtifact(bytes, toVersion);
      const platform = fixture.platform({ ownVersion: fromVersion });
      const jobId = `job-${toVersion}`;
      await stageBytes(platform, artifact, bytes);
      await platform.swap(artifact, swapOrder({ jobId, fromVersion, toVersion }));
      expect((await run(fixture.paths.binary)).stdout).toBe(`${toVersion}\n`);
      expect((await run(fixture.paths.old)).stdout).toBe(`${fromVersion}\n`);
      expect(await fixture.platform({ ownVersion: toVersion }).confirm(jobId)).toBe(true);
    }
  });

  it("refuses while the update before it is not confirmed: its predecessor may still be needed", async () => {
    await using fixture = await createUpdateFixture();
    await (await stagedPlatform(fixture)).swap(fixture.artifact, swapOrder());
    const bytes = buildVersionElf("3.0.0");
    const artifact = describeArtifact(bytes, "3.0.0");
    const platform = fixture.platform({ ownVersion: "2.0.0" });
    await stageBytes(platform, artifact, bytes);
    const failure = await failureOf(
      platform.swap(artifact, swapOrder({ jobId: "other", fromVersion: "2.0.0", toVersion: "3.0.0" })),
    );
    expect(failure.reason).toBe(JobReason.SWAP_FAILED);
    expect(failure.details.detail).toContain("2.0.0");
    expect((await run(fixture.paths.old)).stdout).toBe("1.0.0\n");
    expect((await readJournal(fixture.paths))?.jobId).toBe(JOB_ID);
  });

  it("that finds no stage says so and leaves the old binary with a journal that says failed", async () => {
    await using fixture = await createUpdateFixture();
    const platform = await stagedPlatform(fixture);
    await rm(fixture.paths.staged);
    const failure = await failureOf(platform.swap(fixture.artifact, swapOrder()));
    expect(failure).toMatchObject({
      reason: JobReason.SWAP_FAILED,
      details: { path: fixture.paths.binary, errorCode: "ENOENT" },
    });
    await expectOld(fixture);
    expect(await fixture.platform().settle()).toMatchObject({
      kind: "ended",
      outcome: "failed",
      reason: JobReason.SWAP_FAILED,
    });
  });

  it("that cannot write its journal says so and leaves the old binary", async () => {
    await using fixture = await createUpdateFixture();
    const platform = await stagedPlatform(fixture);
    await mkdir(fixture.paths.journal);
    const failure = await failureOf(platform.swap(fixture.artifact, swapOrder()));
    expect(failure).toMatchObject({ reason: JobReason.SWAP_FAILED, details: { errorCode: "EISDIR" } });
    await expectOld(fixture);
  });

  it("replaces a symbolic link in the place of `.old`, not what it points to", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(`${fixture.root}/precious`, "precious", { mode: 0o600 });
    await symlink(`${fixture.root}/precious`, fixture.paths.old);
    await (await stagedPlatform(fixture)).swap(fixture.artifact, swapOrder());
    expect(await readFile(`${fixture.root}/precious`, "utf8")).toBe("precious");
    expect((await run(fixture.paths.old)).stdout).toBe("1.0.0\n");
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

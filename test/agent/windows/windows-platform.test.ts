/** The updater's rules for Windows, on the files of this machine. What only Windows refuses is for `npm run test:windows`. */
import { copyFile, readdir, readlink, rm } from "node:fs/promises";
import { afterAll, expect, it } from "vitest";
import { createTrustFile } from "../../../agent/updater/trust-file.ts";
import { openTrustStore } from "../../../agent/updater/trust-store.ts";
import type { UpdatePlatform } from "../../../agent/updater/update-platform.ts";
import { createWindowsPlatform } from "../../../agent/updater/windows-platform.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { TEST_PUBLISHER } from "../../support/test-release.ts";
import { buildTinyPe } from "../../support/tiny-pe.ts";
import { findLeaks } from "../updater/leak-check.ts";
import { realClock } from "../updater/real-clock.ts";
import {
  createUpdateFixture,
  describeArtifact,
  digestOf,
  failureOf,
  sha256,
  stageBytes,
  swapOrder,
  type UpdateFixture,
} from "../updater/update-fixture.ts";

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

const PLATFORM = `windows-${process.arch}`;
const NEW_BYTES = buildTinyPe({ prints: "2.0.0\n", whenRun: "hang", sizeBytes: 400_000 });
const ARTIFACT = { ...describeArtifact(NEW_BYTES, "2.0.0"), platform: PLATFORM };

async function openPlatform({ paths, root }: UpdateFixture): Promise<UpdatePlatform> {
  const build = { roots: TEST_PUBLISHER.rootKeys, sequence: 0, keysSequence: 0 };
  return createWindowsPlatform({
    binaryPath: paths.binary,
    stateDir: paths.stateDir,
    configPath: `${root}/agent.json`,
    ownVersion: "1.0.0",
    trust: await openTrustStore(createTrustFile(paths), build),
    clock: realClock,
  });
}

it("the running binary steps aside for the new one, is kept, and is tidied away at the next start", async () => {
  await using fixture = await createUpdateFixture();
  const { paths, oldBytes } = fixture;
  const platform = await openPlatform(fixture);
  await platform.preflight(ARTIFACT, 0);
  await stageBytes(platform, ARTIFACT, NEW_BYTES);
  await platform.swap(ARTIFACT, swapOrder());
  expect(await digestOf(paths.binary)).toBe(sha256(NEW_BYTES));
  expect(await digestOf(paths.old)).toBe(sha256(oldBytes));
  expect(await digestOf(paths.oldTemporary)).toBe(sha256(oldBytes));
  const next = await openPlatform(fixture);
  expect(await next.settle()).toMatchObject({ kind: "unconfirmed" });
  expect(await digestOf(paths.oldTemporary)).toBeUndefined();
  expect(await next.confirm(swapOrder().jobId)).toBe(true);
});

it("where the new one cannot take its place, the binary steps back", async () => {
  await using fixture = await createUpdateFixture();
  const platform = await openPlatform(fixture);
  await stageBytes(platform, ARTIFACT, NEW_BYTES);
  await rm(fixture.paths.staged);
  const failure = await failureOf(platform.swap(ARTIFACT, swapOrder()));
  expect(failure).toMatchObject({ reason: JobReason.SWAP_FAILED, details: { errorCode: "ENOENT" } });
  expect(await digestOf(fixture.paths.binary)).toBe(sha256(fixture.oldBytes));
  expect(await (await openPlatform(fixture)).settle()).toMatchObject({
    outcome: "failed",
    reason: JobReason.SWAP_FAILED,
  });
});

it("a machine that stopped between the two renames finds, once .old was put back, that nothing was replaced", async () => {
  await using fixture = await createUpdateFixture();
  const { paths } = fixture;
  const platform = await openPlatform(fixture);
  await stageBytes(platform, ARTIFACT, NEW_BYTES);
  await platform.swap(ARTIFACT, swapOrder());
  await rm(paths.binary);
  await rm(paths.oldTemporary);
  // As update.cmd does it.
  await copyFile(paths.old, paths.binary);
  expect(await (await openPlatform(fixture)).settle()).toMatchObject({
    outcome: "failed",
    reason: JobReason.AGENT_RESTARTED,
  });
});

it("a complete stage is open nowhere: Windows starts no program that somebody may write", async () => {
  await using fixture = await createUpdateFixture();
  const platform = await openPlatform(fixture);
  const stage = await platform.openStage(ARTIFACT, []);
  for (let index = 0; index * 65_536 < NEW_BYTES.length; index += 1)
    await stage.write(index, NEW_BYTES.subarray(index * 65_536, (index + 1) * 65_536));
  await stage.complete();
  const open = await Promise.all(
    (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
  );
  expect(open).not.toContain(fixture.paths.staged);
  await stage.untilDurable();
});

it("a folder that no file can be made in is told before a byte is fetched, and nothing is left behind", async () => {
  await using fixture = await createUpdateFixture();
  const platform = await openPlatform(fixture);
  const before = await readdir(fixture.root, { recursive: true });
  await platform.preflight(ARTIFACT, 0);
  expect(await readdir(fixture.root, { recursive: true })).toEqual(before);
  await rm(fixture.paths.stateDir, { recursive: true });
  expect(await failureOf(platform.preflight(ARTIFACT, 0))).toMatchObject({
    reason: JobReason.PREFLIGHT_READ_ONLY,
    details: { path: fixture.paths.stateDir },
  });
});

it("a program for Linux is none for Windows", async () => {
  await using fixture = await createUpdateFixture();
  const platform = await openPlatform(fixture);
  const artifact = { ...describeArtifact(fixture.newBytes, "2.0.0"), platform: PLATFORM };
  expect(await failureOf(stageBytes(platform, artifact, fixture.newBytes))).toMatchObject({
    reason: JobReason.PREFLIGHT_WRONG_PLATFORM,
    details: { artifactPlatform: "linux-x64" },
  });
});

import { execFile } from "node:child_process";
import { readFile, stat, symlink, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { PROGRAM_HEAD_BYTES, readProgramPlatform } from "../../../agent/updater/program-header.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { buildTinyElf } from "../../support/tiny-elf.ts";
import { buildTinyPe } from "../../support/tiny-pe.ts";
import { findLeaks } from "./leak-check.ts";
import {
  BLOCK_BYTES,
  createUpdateFixture,
  describeArtifact,
  digestOf,
  failureOf,
  sha256,
  stageBytes,
} from "./update-fixture.ts";

const run = promisify(execFile);

describe("a stage", () => {
  it("takes blocks in any order, several at once, and becomes the artifact, executable", async () => {
    await using fixture = await createUpdateFixture();
    const stage = await fixture.platform().openStage(fixture.artifact, fixture.blockDigests);
    expect((await stat(fixture.paths.staged)).mode & 0o777).toBe(0o700);
    const blocks = [6, 0, 3, 1, 5, 2, 4].map((index) =>
      stage.write(index, fixture.newBytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES)),
    );
    await Promise.all(blocks);
    await stage.complete();
    await stage.untilDurable();
    expect(await readFile(fixture.paths.staged)).toEqual(fixture.newBytes);
    expect((await stat(fixture.paths.staged)).mode & 0o777).toBe(0o755);
    expect((await run(fixture.paths.staged)).stdout).toBe("2.0.0\n");
  });

  it("stays right when it is made durable in the background", async () => {
    await using fixture = await createUpdateFixture();
    const bytes = buildTinyElf({ prints: "3.0.0\n", sizeBytes: 40 * 1024 * 1024 + 17 });
    const artifact = describeArtifact(bytes, "3.0.0");
    await stageBytes(fixture.platform(), artifact, bytes);
    expect(await digestOf(fixture.paths.staged)).toBe(artifact.sha256);
  });

  it("gathers adjacent blocks and writes them once what follows belongs elsewhere", async () => {
    await using fixture = await createUpdateFixture();
    const stage = await fixture.platform().openStage(fixture.artifact, fixture.blockDigests);
    const put = (index: number): Promise<void> =>
      stage.write(index, fixture.newBytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
    const sizeBytes = async (): Promise<number> => (await stat(fixture.paths.staged)).size;
    await put(0);
    await put(1);
    expect(await sizeBytes()).toBe(0);
    await put(4);
    expect(await sizeBytes()).toBe(2 * BLOCK_BYTES);
    await put(5);
    expect(await sizeBytes()).toBe(2 * BLOCK_BYTES);
    for (const index of [6, 2, 3]) await put(index);
    await stage.complete();
    await stage.untilDurable();
    expect(await readFile(fixture.paths.staged)).toEqual(fixture.newBytes);
  });

  it("replaces what an earlier attempt left, and does not write through a symbolic link", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(`${fixture.root}/precious`, "precious");
    await symlink(`${fixture.root}/precious`, fixture.paths.staged);
    await stageBytes(fixture.platform(), fixture.artifact, fixture.newBytes);
    expect(await readFile(`${fixture.root}/precious`, "utf8")).toBe("precious");
    expect((await stat(fixture.paths.staged)).isFile()).toBe(true);
  });

  it("refuses a block that the artifact does not have", async () => {
    await using fixture = await createUpdateFixture();
    const platform = fixture.platform();
    const stage = await platform.openStage(fixture.artifact, fixture.blockDigests);
    for (const [index, length] of [
      [7, BLOCK_BYTES],
      [-1, BLOCK_BYTES],
      [0.5, BLOCK_BYTES],
      [0, BLOCK_BYTES - 1],
      [6, BLOCK_BYTES],
    ] as const) {
      await expect(stage.write(index, new Uint8Array(length))).rejects.toThrow(RangeError);
    }
    await platform.discard();
    await expect(stage.write(0, fixture.newBytes.subarray(0, BLOCK_BYTES))).rejects.toThrow("closed");
  });

  it("is deleted when it was truncated", async () => {
    await using fixture = await createUpdateFixture();
    const stage = await fixture.platform().openStage(fixture.artifact, fixture.blockDigests);
    await stage.write(0, fixture.newBytes.subarray(0, BLOCK_BYTES));
    const failure = await failureOf(stage.complete());
    expect(failure).toMatchObject({
      reason: JobReason.DIGEST_MISMATCH,
      details: {
        expectedSha256: fixture.artifact.sha256,
        actualSha256: sha256(fixture.newBytes.subarray(0, BLOCK_BYTES)),
      },
    });
    expect(await digestOf(fixture.paths.staged)).toBeUndefined();
  });

  it("is deleted when one bit of it is not the artifact's", async () => {
    await using fixture = await createUpdateFixture();
    const damaged = Buffer.from(fixture.newBytes);
    damaged[200_000] = (damaged[200_000] ?? 0) ^ 1;
    const failure = await failureOf(stageBytes(fixture.platform(), fixture.artifact, damaged));
    expect(failure).toMatchObject({ reason: JobReason.DIGEST_MISMATCH, details: { actualSha256: sha256(damaged) } });
    expect(await digestOf(fixture.paths.staged)).toBeUndefined();
  });

  it.each([
    ["an arm64 program", buildTinyElf({ prints: "2.0.0\n", sizeBytes: 1000, machine: 183 }), "linux-arm64"],
    [
      "a program for a machine without releases",
      buildTinyElf({ prints: "2.0.0\n", sizeBytes: 1000, machine: 243 }),
      "linux-unknown",
    ],
    ["a Windows program", Buffer.concat([Buffer.from("MZ"), Buffer.alloc(500)]), undefined],
    ["a script", Buffer.from("#!/bin/sh\necho 2.0.0\n"), undefined],
    ["an empty file", Buffer.alloc(0), undefined],
  ])("is deleted, not executed, when it is %s", async (_name, bytes, artifactPlatform) => {
    await using fixture = await createUpdateFixture();
    const failure = await failureOf(stageBytes(fixture.platform(), describeArtifact(bytes, "2.0.0"), bytes));
    expect(failure.reason).toBe(JobReason.PREFLIGHT_WRONG_PLATFORM);
    expect(failure.details).toMatchObject({ platform: "linux-x64", artifactPlatform });
    expect(await digestOf(fixture.paths.staged)).toBeUndefined();
  });

  it("can be dropped while blocks are under way", async () => {
    await using fixture = await createUpdateFixture();
    const platform = fixture.platform();
    const stage = await platform.openStage(fixture.artifact, fixture.blockDigests);
    const writing = stage.write(0, fixture.newBytes.subarray(0, BLOCK_BYTES));
    await platform.discard();
    await writing;
    expect(await digestOf(fixture.paths.staged)).toBeUndefined();
    await platform.discard();
  });
});

describe("a program's header", () => {
  it("names the platform of this very Node", async () => {
    expect(readProgramPlatform((await readFile(process.execPath)).subarray(0, PROGRAM_HEAD_BYTES))).toBe("linux-x64");
  });

  it.each([
    ["32-bit", 4, 1],
    ["big-endian", 5, 2],
    ["an object file", 16, 1],
    ["of another magic", 0, 0x7e],
  ])("is no program's when it is %s", (_name, offset, value) => {
    const head = buildTinyElf({ prints: "" });
    head[offset] = value;
    expect(readProgramPlatform(head)).toBeUndefined();
  });

  it("names the platform of a program for Windows", () => {
    expect(readProgramPlatform(buildTinyPe({ prints: "", whenRun: "hang" }))).toBe("windows-x64");
    expect(readProgramPlatform(buildTinyPe({ prints: "", whenRun: "hang", machine: 0x14c }))).toBe("windows-unknown");
  });

  it.each([
    ["of a library", 0x80 + 23, 0x20],
    ["of an object file", 0x80 + 22, 0],
    ["32-bit", 0x80 + 25, 1],
    ["of another magic", 0x81, 0],
    ["beyond its own end", 0x3f, 0xff],
  ])("is no program's for Windows when it is %s", (_name, offset, value) => {
    const head = buildTinyPe({ prints: "", whenRun: "hang" });
    head[offset] = value;
    expect(readProgramPlatform(head)).toBeUndefined();
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

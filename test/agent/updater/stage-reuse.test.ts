import { execFile } from "node:child_process";
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { Stage } from "../../../agent/updater/update-platform.ts";
import { buildTinyElf, buildVersionElf } from "../../support/tiny-elf.ts";
import { findLeaks } from "./leak-check.ts";
import {
  BLOCK_BYTES,
  blocksOf,
  createUpdateFixture,
  describeArtifact,
  digestsOf,
  failureOf,
  stageBytes,
  type UpdateFixture,
} from "./update-fixture.ts";

const run = promisify(execFile);
const ALL = [0, 1, 2, 3, 4, 5, 6];

/** Puts a binary in place that has these blocks of the new version, at these indexes, and noise elsewhere. */
async function installRelated(fixture: UpdateFixture, moves: readonly (readonly [from: number, to: number])[]) {
  const bytes = buildVersionElf("1.0.0", 400_000);
  for (const [from, to] of moves) {
    fixture.newBytes.copy(bytes, to * BLOCK_BYTES, from * BLOCK_BYTES, (from + 1) * BLOCK_BYTES);
  }
  await writeFile(fixture.paths.binary, bytes);
}

function open(fixture: UpdateFixture): Promise<Stage> {
  return fixture.platform().openStage(fixture.artifact, fixture.blockDigests);
}

function missingOf(stage: Stage, all: readonly number[] = ALL): readonly number[] {
  return all.filter((index) => !stage.present.includes(index));
}

/** Writes what a stage lacks; it must become the artifact. */
async function finish(fixture: UpdateFixture, stage: Stage): Promise<void> {
  const blocks = [...blocksOf(fixture.newBytes).entries()];
  for (const [index, block] of blocks) if (!stage.present.includes(index)) await stage.write(index, block);
  await stage.complete();
  await stage.untilDurable();
  expect(await readFile(fixture.paths.staged)).toEqual(fixture.newBytes);
  expect((await run(fixture.paths.staged)).stdout).toBe("2.0.0\n");
}

describe("a stage has from the start", () => {
  it("the blocks that the running binary has, at their places and at others", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [
      [1, 1],
      [5, 2],
      [3, 4],
      [4, 5],
    ]);
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([0, 2, 6]);
    await finish(fixture, stage);
  });

  it("the blocks of a binary that is longer, and its own size", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(fixture.paths.binary, Buffer.concat([fixture.newBytes, Buffer.alloc(200_000, 1)]));
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([6]);
    expect((await stat(fixture.paths.staged)).size).toBe(400_000);
    await finish(fixture, stage);
  });

  it("all blocks when the binary is what is wanted", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(fixture.paths.binary, fixture.newBytes);
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([]);
    await finish(fixture, stage);
  });

  it("nothing when the blocks of the release have another size", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(fixture.paths.binary, Buffer.concat([Buffer.alloc(4096), fixture.newBytes]));
    const platform = fixture.platform();
    await platform.prepare();
    const blockSizeBytes = 16 * 1024;
    const artifact = { ...fixture.artifact, blockSizeBytes };
    const stage = await platform.openStage(artifact, digestsOf(fixture.newBytes, blockSizeBytes));
    expect(stage.present).toEqual([]);
    await platform.discard();
    await stageBytes(platform, artifact, fixture.newBytes);
    expect(await readFile(fixture.paths.staged)).toEqual(fixture.newBytes);
  });

  it("nothing, and room for the artifact alone, when no block matches", async () => {
    await using fixture = await createUpdateFixture();
    const stage = await open(fixture);
    expect(stage.present).toEqual([]);
    expect((await stat(fixture.paths.staged)).size).toBe(0);
    await finish(fixture, stage);
  });

  it("nothing when the binary cannot be read", async () => {
    await using fixture = await createUpdateFixture();
    await rm(fixture.paths.binary);
    await mkdir(fixture.paths.binary);
    const stage = await open(fixture);
    expect(stage.present).toEqual([]);
    await finish(fixture, stage);
  });
});

describe("what was learned of the binary ahead of the update", () => {
  it("counts while the file is the same", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [[1, 1]]);
    const platform = fixture.platform();
    await platform.prepare();
    await platform.prepare();
    const stage = await platform.openStage(fixture.artifact, fixture.blockDigests);
    expect(missingOf(stage)).toEqual([0, 2, 3, 4, 5, 6]);
    await finish(fixture, stage);
  });

  it("is learned anew once another file stands there, were it as old and as long", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [[1, 1]]);
    const { atime, mtime } = await stat(fixture.paths.binary);
    const platform = fixture.platform();
    await platform.prepare();
    await installRelated(fixture, [[2, 2]]);
    await utimes(fixture.paths.binary, atime, mtime);
    const stage = await platform.openStage(fixture.artifact, fixture.blockDigests);
    expect(missingOf(stage)).toEqual([0, 1, 3, 4, 5, 6]);
    await finish(fixture, stage);
  });
});

describe("what a stage will have is known before it opens", () => {
  it("from what was learned of the binary", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [
      [1, 1],
      [5, 2],
    ]);
    const platform = fixture.platform();
    await platform.prepare();
    expect(await platform.expectBlocks(fixture.artifact, fixture.blockDigests)).toEqual([1, 5]);
    const stage = await platform.openStage(fixture.artifact, fixture.blockDigests);
    expect([...stage.present].toSorted((a, b) => a - b)).toEqual([1, 5]);
    await finish(fixture, stage);
  });

  it("unless another file stands there by now, which may have more", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [[1, 1]]);
    const platform = fixture.platform();
    await platform.prepare();
    await installRelated(fixture, [
      [1, 1],
      [2, 2],
    ]);
    expect(await platform.expectBlocks(fixture.artifact, fixture.blockDigests)).toBeUndefined();
    await rm(fixture.paths.binary);
    expect(await platform.expectBlocks(fixture.artifact, fixture.blockDigests)).toBeUndefined();
  });

  it("unless an earlier attempt left something, or nothing was learned", async () => {
    await using fixture = await createUpdateFixture();
    const platform = fixture.platform();
    expect(await platform.expectBlocks(fixture.artifact, fixture.blockDigests)).toBeUndefined();
    await platform.prepare();
    expect(await platform.expectBlocks(fixture.artifact, fixture.blockDigests)).toEqual([]);
    await writeFile(fixture.paths.staged, "left");
    expect(await platform.expectBlocks(fixture.artifact, fixture.blockDigests)).toBeUndefined();
  });
});

describe("a leftover gives", () => {
  it("the blocks that were written before the agent stopped, and nothing else of it", async () => {
    await using fixture = await createUpdateFixture();
    const platform = fixture.platform();
    const first = await platform.openStage(fixture.artifact, fixture.blockDigests);
    for (const index of [0, 4, 5]) await first.write(index, blocksOf(fixture.newBytes)[index] ?? Buffer.alloc(0));
    await platform.leave();
    expect((await fixture.platform().settle()).kind).toBe("none");
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([1, 2, 3, 6]);
    expect((await stat(fixture.paths.staged)).mode & 0o777).toBe(0o700);
    await finish(fixture, stage);
  });

  it("its sound blocks although others were changed, cut off or added", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [[2, 2]]);
    const left = Buffer.from(fixture.newBytes);
    left.writeUInt8(left.readUInt8(3 * BLOCK_BYTES) ^ 1, 3 * BLOCK_BYTES);
    await writeFile(fixture.paths.staged, left, { mode: 0o755 });
    await appendFile(fixture.paths.staged, Buffer.alloc(3 * BLOCK_BYTES));
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([3, 6]);
    await finish(fixture, stage);
    await truncate(fixture.paths.staged, 2 * BLOCK_BYTES + 5);
    const shorter = await open(fixture);
    expect(missingOf(shorter)).toEqual([3, 4, 5, 6]);
    await finish(fixture, shorter);
  });

  it.each([
    ["lower", 1],
    ["higher", -1],
  ])("its blocks that stand at %s indexes than they must", async (_, shift) => {
    await using fixture = await createUpdateFixture();
    const blocks = blocksOf(fixture.newBytes);
    const noise = blocksOf(buildTinyElf({ prints: "noise", sizeBytes: BLOCK_BYTES }));
    await writeFile(
      fixture.paths.staged,
      Buffer.concat(shift === 1 ? blocks.slice(1) : [...noise, ...blocks.slice(0, 6)]),
    );
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([shift === 1 ? 0 : 6]);
    await finish(fixture, stage);
  });

  it("nothing, and is replaced by a copy of the binary, when that has all of it", async () => {
    await using fixture = await createUpdateFixture();
    await installRelated(fixture, [
      [1, 1],
      [2, 2],
    ]);
    await writeFile(fixture.paths.staged, blocksOf(fixture.newBytes)[1] ?? "", { mode: 0o700 });
    const { ino } = await stat(fixture.paths.staged);
    await link(fixture.paths.staged, `${fixture.root}/kept`);
    const stage = await open(fixture);
    expect(missingOf(stage)).toEqual([0, 3, 4, 5, 6]);
    expect((await stat(fixture.paths.staged)).ino).not.toBe(ino);
    await finish(fixture, stage);
  });
});

describe("what stands in the way of a stage is not written to when it is", () => {
  it.each<[string, (fixture: UpdateFixture, precious: string) => Promise<unknown>]>([
    ["a symbolic link", (fixture, precious) => symlink(precious, fixture.paths.staged)],
    ["a link to nowhere", (fixture) => symlink(`${fixture.root}/nowhere`, fixture.paths.staged)],
    ["another name of a file", (fixture, precious) => link(precious, fixture.paths.staged)],
    ["a pipe", (fixture) => run("mkfifo", [fixture.paths.staged])],
    [
      "a file that others may write",
      async (fixture) => {
        await writeFile(fixture.paths.staged, fixture.newBytes);
        await chmod(fixture.paths.staged, 0o722);
      },
    ],
  ])("%s: it is replaced", async (_, block) => {
    await using fixture = await createUpdateFixture();
    const precious = `${fixture.root}/precious`;
    await writeFile(precious, fixture.newBytes);
    await block(fixture, precious);
    const stage = await open(fixture);
    expect(stage.present).toEqual([]);
    await finish(fixture, stage);
    expect((await stat(fixture.paths.staged)).isFile()).toBe(true);
    expect(await readFile(precious)).toEqual(fixture.newBytes);
    await expect(stat(`${fixture.root}/nowhere`)).rejects.toThrow("ENOENT");
  });

  it.skipIf(process.getuid?.() !== 0)("another user's file: it is replaced", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(fixture.paths.staged, fixture.newBytes);
    await chown(fixture.paths.staged, 65_534, 65_534);
    const stage = await open(fixture);
    expect(stage.present).toEqual([]);
    expect((await stat(fixture.paths.staged)).uid).toBe(0);
    await finish(fixture, stage);
  });

  it("a folder: the update fails and says so", async () => {
    await using fixture = await createUpdateFixture();
    await mkdir(fixture.paths.staged);
    const failure = await failureOf(open(fixture));
    expect(failure.details).toMatchObject({ path: fixture.paths.staged });
    expect(failure.details.errorCode).toMatch(/^(EISDIR|EPERM)$/);
  });
});

describe("a stage that is left", () => {
  it("holds what was gathered", async () => {
    await using fixture = await createUpdateFixture();
    const platform = fixture.platform();
    const stage = await platform.openStage(fixture.artifact, fixture.blockDigests);
    await stage.write(2, blocksOf(fixture.newBytes)[2] ?? Buffer.alloc(0));
    await platform.leave();
    await platform.leave();
    const next = await open(fixture);
    expect(missingOf(next)).toEqual([0, 1, 3, 4, 5, 6]);
    await finish(fixture, next);
  });

  it("is gone when it was found to be wrong as a whole", async () => {
    await using fixture = await createUpdateFixture();
    const platform = fixture.platform();
    const artifact = describeArtifact(buildVersionElf("3.0.0", 400_000), "3.0.0");
    const stage = await platform.openStage(artifact, fixture.blockDigests);
    for (const [index, block] of blocksOf(fixture.newBytes).entries()) await stage.write(index, block);
    await expect(stage.complete()).rejects.toThrow("sha256");
    await platform.leave();
    await expect(stat(fixture.paths.staged)).rejects.toThrow("ENOENT");
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

import { copyFile, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BlockEncoding } from "../../../gen/rollcall/v1/agent_pb.js";
import {
  BLOCK,
  CACHED,
  createArtifact,
  DAMAGED,
  drain,
  readAll,
  readBlocks,
  type ArtifactFixture,
  type ReadBlock,
} from "./artifact-fixture.ts";

const SIZE = 5 * 1_048_576 + 1_234;
const COUNT = Math.ceil(SIZE / BLOCK);

function contentOf(blocks: readonly ReadBlock[]): Buffer {
  return Buffer.concat(blocks.map(({ plain }) => plain));
}

async function cachePath(fixture: ArtifactFixture): Promise<string> {
  return join(fixture.cacheFolder, (await fixture.caches())[0] ?? "no cache");
}

async function flipByte(path: string, offset: number): Promise<void> {
  await using file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte.writeUInt8(byte.readUInt8() ^ 1);
  await file.write(byte, 0, 1, offset);
}

describe("an artifact without a cache", () => {
  test("is compressed on its way, and cached once much of it was asked for", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    const first = await readBlocks(store, fixture.artifact, [{ first: 0, count: 80 }]);
    expect(first[0]?.encoding).toBe(BlockEncoding.ZSTD);
    expect(contentOf(first).equals(fixture.content.subarray(0, 80 * BLOCK))).toBe(true);
    await fixture.untilLogged(CACHED);
    const whole = await readAll(store, fixture.artifact);
    expect(contentOf(whole).equals(fixture.content)).toBe(true);
    expect(whole.map(({ encoding }) => encoding)).toEqual(
      whole.map(({ index }) => (index % 2 === 0 ? BlockEncoding.ZSTD : BlockEncoding.IDENTITY)),
    );
    expect(await fixture.caches()).toEqual([`${fixture.artifact.sha256}-${BLOCK}.zstd`]);
  });

  test("is not cached when little of it is asked for", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    const blocks = await readBlocks(store, fixture.artifact, [
      { first: 40, count: 3 },
      { first: COUNT - 1, count: 1 },
    ]);
    expect(blocks.map(({ index }) => index)).toEqual([40, 41, 42, COUNT - 1]);
    expect(blocks[0]).toMatchObject({ encoding: BlockEncoding.ZSTD });
    expect(blocks[0]?.wireBytes).toBeLessThan(1_000);
    expect(blocks[1]).toMatchObject({ encoding: BlockEncoding.IDENTITY, wireBytes: BLOCK });
    for (const { index, plain } of blocks)
      expect(plain.equals(fixture.content.subarray(index * BLOCK, (index + 1) * BLOCK))).toBe(true);
    expect(await fixture.caches()).toEqual([]);
  });

  test("is cached once little was asked for often enough", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    for (let round = 0; round < 17; round += 1) await readBlocks(store, fixture.artifact, [{ first: 3, count: 1 }]);
    await fixture.untilLogged(CACHED);
  });

  test("is compressed once, however many ask for it at the same time", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    const all = await Promise.all(Array.from({ length: 8 }, () => readAll(store, fixture.artifact)));
    for (const blocks of all) expect(contentOf(blocks).equals(fixture.content)).toBe(true);
    await fixture.untilLogged(CACHED);
    await store[Symbol.asyncDispose]();
    expect(fixture.log).toEqual([CACHED]);
  });

  test("goes on compressed when its cache becomes ready in the middle of a delivery", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    await using delivery = await store.open(fixture.artifact);
    const messages = delivery.read([{ first: 0, count: COUNT }]);
    let wireBytes = 0;
    for (let batch = 0; ; batch += 1) {
      const next = await messages.next();
      if (next.done === true) break;
      for (const { data } of next.value) wireBytes += data.length;
      // Two reads of 1 MiB were taken, the eighth that makes it worth a cache.
      if (batch === 1) await fixture.untilLogged(CACHED);
    }
    expect(wireBytes).toBeGreaterThan(SIZE / 2);
    expect(wireBytes).toBeLessThan(SIZE - 524_288);
  });

  test("reads little more than what is asked for, however scattered that is", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    const bytesRead = async (): Promise<number> =>
      Number(/^rchar: (\d+)$/m.exec(await readFile("/proc/self/io", "utf8"))?.[1]);
    const before = await bytesRead();
    const ranges = Array.from({ length: 10 }, (_, number) => ({ first: number * 8, count: 1 }));
    expect(await readBlocks(store, fixture.artifact, ranges)).toHaveLength(10);
    expect((await bytesRead()) - before).toBeLessThan(10 * BLOCK + 100_000);
  });

  test("that is not what its block list says is never cached", async () => {
    await using fixture = await createArtifact(SIZE);
    await flipByte(fixture.artifact.artifactPath, 5 * BLOCK + 1);
    const store = fixture.openStore();
    await readAll(store, fixture.artifact);
    await fixture.untilLogged("warn an artifact's blocks could not be cached; they are sent as they are");
    expect(await fixture.caches()).toEqual([]);
  });

  test("that is missing or too short is refused", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    await truncate(fixture.artifact.artifactPath, SIZE - 1);
    await expect(store.open(fixture.artifact)).rejects.toMatchObject({ reason: "release_invalid" });
    await rm(fixture.artifact.artifactPath);
    await expect(store.open(fixture.artifact)).rejects.toMatchObject({ reason: "release_invalid" });
    expect(fixture.log).toEqual(Array(2).fill("error a release's file is missing or damaged"));
  });
});

describe("a cache", () => {
  async function cached(): Promise<ArtifactFixture> {
    const fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    await readAll(store, fixture.artifact);
    await fixture.untilLogged(CACHED);
    return fixture;
  }

  test("outlives the process that made it", async () => {
    await using fixture = await cached();
    const { ino } = await stat(await cachePath(fixture));
    const blocks = await readAll(fixture.openStore(), fixture.artifact);
    expect(blocks[0]?.encoding).toBe(BlockEncoding.ZSTD);
    expect(contentOf(blocks).equals(fixture.content)).toBe(true);
    expect((await stat(await cachePath(fixture))).ino).toBe(ino);
  });

  const damages: Readonly<Record<string, (path: string, size: number) => Promise<void>>> = {
    "is torn": (path, size) => truncate(path, size - 100),
    "is empty": (path) => truncate(path, 0),
    "has a damaged index": (path, size) => flipByte(path, size - 200),
    "has a damaged footer": (path, size) => flipByte(path, size - 80),
    "is longer than its index says": async (path) =>
      writeFile(path, Buffer.concat([Buffer.alloc(1), await readFile(path)])),
    "is of another artifact": async (path) => {
      await using other = await createArtifact(SIZE - BLOCK);
      const store = other.openStore();
      await readAll(store, other.artifact);
      await other.untilLogged(CACHED);
      await copyFile(await cachePath(other), path);
    },
  };
  for (const [damage, inflict] of Object.entries(damages)) {
    test(`that ${damage} is made anew, and nothing of it is sent`, async () => {
      await using fixture = await cached();
      const path = await cachePath(fixture);
      await inflict(path, (await stat(path)).size);
      const store = fixture.openStore();
      expect(contentOf(await readAll(store, fixture.artifact)).equals(fixture.content)).toBe(true);
      await fixture.untilLogged(CACHED, 2);
      expect(fixture.log).toEqual([CACHED, DAMAGED, CACHED]);
      const again = await readAll(store, fixture.artifact);
      expect(again[0]?.encoding).toBe(BlockEncoding.ZSTD);
      expect(contentOf(again).equals(fixture.content)).toBe(true);
    });
  }

  test("that is damaged while it is in use is noticed before anything of it is sent", async () => {
    await using fixture = await cached();
    const store = fixture.openStore();
    await using early = await store.open(fixture.artifact);
    expect((await drain(early, [{ first: 0, count: 1 }]))[0]?.encoding).toBe(BlockEncoding.ZSTD);
    const { size } = await stat(await cachePath(fixture));
    await flipByte(await cachePath(fixture), Math.floor(size / 2));
    const blocks = await drain(early, [{ first: 0, count: COUNT }]);
    expect(contentOf(blocks).equals(fixture.content)).toBe(true);
    await fixture.untilLogged(CACHED, 2);
    expect(fixture.log).toEqual([CACHED, DAMAGED, CACHED]);
    expect((await readAll(store, fixture.artifact))[0]?.encoding).toBe(BlockEncoding.ZSTD);
  });

  test("that is removed or cut while it is in use is made anew", async () => {
    await using fixture = await cached();
    const store = fixture.openStore();
    await readAll(store, fixture.artifact);
    await rm(await cachePath(fixture));
    expect(contentOf(await readAll(store, fixture.artifact)).equals(fixture.content)).toBe(true);
    await fixture.untilLogged(CACHED, 2);
    await truncate(await cachePath(fixture), 1_000);
    expect(contentOf(await readAll(store, fixture.artifact)).equals(fixture.content)).toBe(true);
    await fixture.untilLogged(CACHED, 3);
  });

  test("of an artifact that is gone is removed, like whatever else is in its folder", async () => {
    await using fixture = await cached();
    const path = await cachePath(fixture);
    await writeFile(`${path}.tmp`, "what a killed process left");
    await writeFile(join(fixture.cacheFolder, "notes"), "?");
    const store = fixture.openStore();
    await store.keepOnly([fixture.artifact.sha256]);
    expect(await fixture.caches()).toEqual([`${fixture.artifact.sha256}-${BLOCK}.zstd`]);
    await store.keepOnly(["0".repeat(64)]);
    expect(await fixture.caches()).toEqual([]);
  });

  test("is given up when the server ends, and leaves nothing behind", async () => {
    await using fixture = await createArtifact(SIZE);
    const store = fixture.openStore();
    const reading = readAll(store, fixture.artifact);
    await store[Symbol.asyncDispose]();
    await reading;
    await store[Symbol.asyncDispose]();
    expect((await fixture.caches()).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(fixture.log.filter((line) => line.startsWith("warn"))).toEqual([]);
  });
});

import { execFileSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { prepareNodeBinary } from "../../../agent/build/node-binary.ts";
import { buildRelease, listBlocks } from "../../../agent/build/release.ts";
import { readSourceTime } from "../../../agent/build/source-time.ts";
import { TARGETS } from "../../../agent/build/target.ts";
import { createBuildPublisher } from "../../support/test-keys.ts";
import { TEST_PUBLISHER } from "../../support/test-release.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await TemporaryFolder.create();
  await mkdir(folder.join("node_modules/node/bin"), { recursive: true });
  await writeFile(folder.join("node_modules/node/bin/node"), "not Node");
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await expect(readdir(folder.path)).rejects.toThrow("ENOENT");
});

test("any other Node than the pinned one is refused", async () => {
  await expect(prepareNodeBinary(folder.path, TARGETS["linux-x64"])).rejects.toThrow("the build is pinned to");
});

test("a build that fails leaves no trace of a release", async () => {
  const order = {
    root: folder.path,
    version: "1.0",
    targets: [TARGETS["linux-x64"]],
    publisher: createBuildPublisher(TEST_PUBLISHER),
    sequence: 1,
    permittedFloor: 0,
    createdAt: new Date(0),
  };
  await expect(buildRelease({ ...order, releasesDir: folder.join("releases") })).rejects.toThrow("pinned");
  expect(await readdir(folder.join("releases"))).toEqual([]);
});

test("a block list holds one sha256 a block, the last one of what is left", () => {
  const list = listBlocks(Buffer.alloc(65_536 + 1));
  expect(list.length).toBe(64);
  // sha256 of one zero byte.
  expect(list.subarray(32).toString("hex")).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
});

test("the time of the sources is what the environment says, else the commit's, else 1970", () => {
  expect(readSourceTime(folder.path, "1700000000").getTime()).toBe(1_700_000_000_000);
  expect(readSourceTime(folder.path, undefined).getTime()).toBe(0);
  const root = import.meta.dirname;
  const commitSeconds = execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" }).trim();
  expect(readSourceTime(root, undefined).getTime()).toBe(Number(commitSeconds) * 1000);
  expect(() => readSourceTime(folder.path, "yesterday")).toThrow("SOURCE_DATE_EPOCH");
});

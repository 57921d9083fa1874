import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compareFolders } from "./check-generated-code.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-compare-"));
});

afterEach(() => rm(folder, { recursive: true }));

async function fill(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, "v1"), { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(path, file), content);
  return path;
}

test("equal folders have no difference", async () => {
  const files = { "v1/a.js": "a", "v1/b.js": "b" };
  expect(await compareFolders(await fill("left", files), await fill("right", files))).toEqual([]);
});

test("changed, missing and left-over files are named", async () => {
  const left = await fill("left", { "v1/changed.js": "new", "v1/missing.js": "", "v1/same.js": "" });
  const right = await fill("right", { "v1/changed.js": "old", "v1/left-over.js": "", "v1/same.js": "" });
  expect(await compareFolders(left, right)).toEqual(["v1/changed.js", "v1/left-over.js", "v1/missing.js"]);
});

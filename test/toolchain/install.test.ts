import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
// @ts-expect-error -- plain JavaScript that runs before the packages are installed
import { ensureInstalled as untyped } from "./install.mjs";

const ensureInstalled = untyped as (root: string) => Promise<void>;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-install-"));
  await mkdir(join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ dependencies: { pg: "2.0.0" } }));
});

afterEach(() => rm(folder, { recursive: true }));

async function writeLockFile(dependencies: Readonly<Record<string, string>>): Promise<string> {
  const text = JSON.stringify({ lockfileVersion: 3, packages: { "": { dependencies } } });
  await writeFile(join(folder, "package-lock.json"), text);
  return createHash("sha256").update(text).digest("hex");
}

test("a lock file that does not fit package.json is refused before anything is fetched", async () => {
  await writeLockFile({ pg: "1.0.0" });
  await expect(ensureInstalled(folder)).rejects.toThrow(
    "package-lock.json does not match the dependencies of package.json",
  );
});

test("nothing is installed while the stamp names the lock file", async () => {
  const digest = await writeLockFile({ pg: "1.0.0" });
  await writeFile(join(folder, "node_modules", ".rollcall-lock-sha256"), digest);
  await ensureInstalled(folder);
});

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildDashboard, dashboardFolder } from "../../../web/build/build-dashboard.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

/** One entry of vite's manifest. */
interface ManifestEntry {
  readonly file: string;
  readonly isEntry?: boolean;
  readonly imports?: readonly string[];
  readonly css?: readonly string[];
  readonly assets?: readonly string[];
}

const folder = dashboardFolder(repositoryRoot);
let manifest: Readonly<Record<string, ManifestEntry>>;

beforeAll(async () => {
  await buildDashboard(repositoryRoot, () => {});
  manifest = JSON.parse(await readFile(join(folder, ".vite", "manifest.json"), "utf8")) as typeof manifest;
});

/** A chunk and all that it can't do without. */
function withImports(name: string, found = new Set<string>()): ReadonlySet<string> {
  if (!found.has(name)) {
    found.add(name);
    for (const imported of manifest[name]?.imports ?? []) withImports(imported, found);
  }
  return found;
}

/** *Units*: bytes as gzip sends them. */
async function compressedBytes(files: Iterable<string>): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += (await stat(join(folder, `${file}.gz`))).size;
  return bytes;
}

test("the start page comes with at most 150 kB of script and 15 kB of style, compressed", async () => {
  const start = Object.keys(manifest).filter((name) => manifest[name]?.isEntry === true);
  const entries = start.flatMap((name) => [...withImports(name)]).map((name) => manifest[name] as ManifestEntry);
  const scripts = await compressedBytes(entries.map(({ file }) => file));
  const styles = await compressedBytes(new Set(entries.flatMap(({ css }) => css ?? [])));
  expect(scripts).toBeGreaterThan(20_000);
  expect(scripts).toBeLessThanOrEqual(150_000);
  expect(styles).toBeGreaterThan(1_000);
  expect(styles).toBeLessThanOrEqual(15_000);
});

test("fonts weigh at most 55 kB", async () => {
  const fonts = new Set(
    Object.values(manifest)
      .flatMap(({ assets, file }) => [...(assets ?? []), file])
      .filter((file) => file.endsWith(".woff2")),
  );
  expect(fonts.size).toBe(2);
  let bytes = 0;
  for (const font of fonts) bytes += (await stat(join(folder, font))).size;
  expect(bytes).toBeLessThanOrEqual(55_000);
});

test("whoever runs the server may read it", async () => {
  expect((await stat(folder)).mode & 0o777).toBe(0o755);
});

test("what is current is not built again", async () => {
  const lines: string[] = [];
  const before = await stat(folder);
  await buildDashboard(repositoryRoot, (line) => lines.push(line));
  expect(lines).toEqual([]);
  expect((await stat(folder)).ino).toBe(before.ino);
});

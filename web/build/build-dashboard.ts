/**
 * Builds the dashboard into `dist/web`, unless what stands there was built from the
 * same sources. The new build takes the old one's place by renames only, so that two
 * who build at once, or a server that starts meanwhile, never see half of one.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { digestSources } from "./source-digest.ts";

const STAMP = ".sources-sha256";
/** What shrinks when it is compressed; fonts are compressed already. */
const COMPRESSED = /\.(?:html|js|css|svg)$/;

/** Where the built dashboard stands. */
export function dashboardFolder(root: string): string {
  return join(root, "dist", "web");
}

/** Makes the dashboard current. `print` hears of a build, which takes seconds. *Throws* Error when a source is wrong. */
export async function buildDashboard(root: string, print: (line: string) => void): Promise<void> {
  const digest = await digestSources(root);
  if ((await readStamp(root)) === digest) return;
  print("Building the dashboard …");
  const dist = join(root, "dist");
  await mkdir(dist, { recursive: true });
  const fresh = await mkdtemp(join(dist, "web-"));
  try {
    // Imported only here: to find that nothing is to be done needs no bundler.
    const [{ build }, { viteOptions }] = await Promise.all([import("vite"), import("./vite-options.ts")]);
    await asProduction(() => build(viteOptions(root, fresh)));
    await compressFiles(fresh);
    await writeFile(join(fresh, STAMP), digest);
    // A temporary folder is its maker's alone; the server may run as another user than whoever built.
    await chmod(fresh, 0o755);
    await takePlace(fresh, dashboardFolder(root));
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function readStamp(root: string): Promise<string | undefined> {
  try {
    return await readFile(join(dashboardFolder(root), STAMP), "utf8");
  } catch {
    return undefined;
  }
}

/** Whoever builds, tests too, builds what people get: the bundler and its plug-ins go by this variable before any option. */
async function asProduction(work: () => Promise<unknown>): Promise<void> {
  const before = process.env["NODE_ENV"];
  process.env["NODE_ENV"] = "production";
  try {
    await work();
  } finally {
    if (before === undefined) delete process.env["NODE_ENV"];
    else process.env["NODE_ENV"] = before;
  }
}

/** Writes `FILE.br` and `FILE.gz` beside what is worth it, once, so that no request pays for it. */
async function compressFiles(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile() || !COMPRESSED.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
    await writeFile(`${path}.br`, brotliCompressSync(bytes, quality));
    await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
}

async function takePlace(fresh: string, folder: string): Promise<void> {
  const former = `${fresh}.former`;
  for (;;) {
    await rename(folder, former).catch(ignoreMissing);
    try {
      await rename(fresh, folder);
      break;
    } catch (error) {
      // Somebody else's build came between the two renames; it makes room in its turn.
      if (!isOccupied(error)) throw error;
      await rm(former, { recursive: true, force: true });
    }
  }
  await rm(former, { recursive: true, force: true });
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

function isOccupied(error: unknown): boolean {
  return ["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "");
}

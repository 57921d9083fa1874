/**
 * The two versions of the agent that a demo needs, built from the same sources.
 *
 * Builds are kept under dist, those of each platform in folders named by everything
 * that goes into them; the two folders used last are left for the next run.
 */
import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { TARGETS, type Platform } from "../../agent/build/target.ts";
import { readDevelopmentPublisher } from "../../agent/build/publisher.ts";
import { systemBench } from "../../agent/release/system-bench.ts";
import type { PublicKey } from "../../gen/minisign.ts";
import { wallDate } from "../bench/stopwatch-clock.ts";
import { runCommand } from "../toolchain/run-command.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { withMachineLock } from "../toolchain/machine-lock.mjs";

const KEPT_BUILDS = 2;
const INPUTS: readonly string[] = ["agent", "gen", "package-lock.json"];

/** One built version. */
export interface AgentBuild {
  readonly version: string;
  /** What `ROLLCALL_RELEASES_DIR` may point to: holds this version only. */
  readonly releasesDir: string;
  readonly binaryPath: string;
}

/** The older version is what hosts start with, the newer one what the server calls its own. */
export interface AgentBuilds {
  readonly older: AgentBuild;
  readonly newer: AgentBuild;
}

/**
 * Builds both versions unless the same inputs were built before; of two processes that ask, one waits for the other.
 *
 * *Throws* Error with the build's output.
 */
export async function buildAgents(
  version: string,
  print: (line: string) => void,
  signal: AbortSignal,
  platform: Platform = "linux-x64",
): Promise<AgentBuilds> {
  const cache = join(repositoryRoot, "dist", platform === "linux-x64" ? "demo" : `demo-${platform}`);
  const lockName = `rollcall-agent-builds-${createHash("sha256").update(cache).digest("hex").slice(0, 16)}`;
  return await withMachineLock(lockName, () => buildBoth({ version, platform, print, signal }, cache));
}

/** What both builds have in common. */
interface BuildOrder {
  readonly version: string;
  readonly platform: Platform;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

async function buildBoth(order: BuildOrder, cache: string): Promise<AgentBuilds> {
  const { version } = order;
  // Builds trust the keys that they were made with; others would not be updated by them.
  const { folder: keys } = await readDevelopmentPublisher(repositoryRoot, systemBench);
  const folder = join(cache, await digestInputs(version, keys.roots));
  await mkdir(folder, { recursive: true });
  const older = await buildAgent(folder, { ...order, version: `${version}-older` }, 1);
  const newer = await buildAgent(folder, order, 2);
  await utimes(folder, wallDate(), wallDate());
  await removeOldBuilds(cache);
  return { older, newer };
}

async function buildAgent(
  folder: string,
  { version, platform, print, signal }: BuildOrder,
  sequence: number,
): Promise<AgentBuild> {
  const releasesDir = join(folder, `sequence-${sequence}`);
  const release = join(releasesDir, version);
  const build = {
    version,
    releasesDir,
    binaryPath: join(release, platform, `rollcall-agent${TARGETS[platform].fileEnding}`),
  };
  if (await exists(join(release, "manifest.json"))) return build;
  print(`Building agent ${version} …`);
  const options = ["--platform", platform, "--version", version, "--sequence", String(sequence), "--out", releasesDir];
  const result = await runCommand(process.execPath, [join("agent", "build", "main.ts"), ...options], signal);
  signal.throwIfAborted();
  if (!result.succeeded) throw new Error(`the agent could not be built:\n${result.output}`);
  return build;
}

async function digestInputs(version: string, roots: readonly PublicKey[]): Promise<string> {
  const hash = createHash("sha256").update(`${version}\n${roots.map(({ text }) => text).join()}\n`);
  for (const input of INPUTS) {
    for (const path of await listFiles(join(repositoryRoot, input))) {
      const content = await readFile(path);
      hash.update(`${path.slice(repositoryRoot.length)}\n${content.length}\n`).update(content);
    }
  }
  return hash.digest("hex").slice(0, 16);
}

async function listFiles(path: string): Promise<readonly string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

async function removeOldBuilds(cache: string): Promise<void> {
  const folders = (await readdir(cache)).map((name) => join(cache, name));
  const aged = await Promise.all(folders.map(async (path) => ({ path, usedMs: (await stat(path)).mtimeMs })));
  const old = aged.toSorted((left, right) => right.usedMs - left.usedMs).slice(KEPT_BUILDS);
  await Promise.all(old.map(({ path }) => rm(path, { recursive: true, force: true })));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Makes a program's one executable file: bundle → blob → injected into Node. */
import { execFile } from "node:child_process";
import { chmod, copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import type { PublicKey } from "../../gen/minisign.ts";
import { readInstallRevision } from "./install-revision.ts";
import { findOwnNode, type NodeBinary } from "./node-binary.ts";
import type { Target } from "./target.ts";

const run = promisify(execFile);

/** What an agent knows about itself from its build; nothing later changes it. */
export interface BuildFacts {
  readonly version: string;
  readonly sequence: number;
  /** Who may say which keys sign its updates. */
  readonly roots: readonly PublicKey[];
  /** Of the key set that it is published under: older ones are refused. */
  readonly keysSequence: number;
}

/** Relative names only: the blob remembers them, and the same inputs must give the same bytes. */
const BUNDLE_NAME = "agent.cjs";

/**
 * What the agent's Node is told. The heap's ceiling is several times what an update needs; blocks lie outside of it.
 * A small nursery frees the buffers of a download before they leave the processor's caches: half the work.
 */
const AGENT_FLAGS: readonly string[] = ["--max-old-space-size=64", "--max-semi-space-size=1"];

/** *Source*: Node.js documentation, "Single executable applications". */
const SENTINEL_FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** Writes the agent's program, the same for every platform, into `workDir`. */
export async function bundleAgent(root: string, facts: BuildFacts, workDir: string): Promise<void> {
  const installRevision = JSON.stringify(String(await readInstallRevision(root)));
  const define = { ...defineFacts(facts), ROLLCALL_BUILD_INSTALL_REVISION: installRevision };
  await bundleProgram(root, "agent/main.ts", define, workDir);
}

/** Writes a program, the same for every platform, into `workDir`. `entry` is a path within `root`. */
export async function bundleProgram(
  root: string,
  entry: string,
  define: Record<string, string>,
  workDir: string,
): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(workDir, BUNDLE_NAME),
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    minify: true,
    legalComments: "none",
    define,
    // Asked for by pg, which does without it.
    external: ["pg-native"],
    // A bundle has no place among the sources; own-version.ts asks for it only in their absence.
    logOverride: { "empty-import-meta": "silent" },
    logLevel: "warning",
  });
}

/** What a bundler puts in the place of each name of a build: own-version.ts and own-trust.ts read them. */
export function defineFacts(facts: BuildFacts): Record<string, string> {
  return {
    ROLLCALL_BUILD_VERSION: JSON.stringify(facts.version),
    ROLLCALL_BUILD_SEQUENCE: JSON.stringify(String(facts.sequence)),
    ROLLCALL_BUILD_ROOTS: JSON.stringify(facts.roots.map(({ text }) => text).join(",")),
    ROLLCALL_BUILD_KEYS_SEQUENCE: JSON.stringify(String(facts.keysSequence)),
  };
}

/** Writes the executable of one platform to `outputPath`, from its Node, told `flags`, and the bundle in `workDir`. */
export async function buildExecutable(
  root: string,
  node: NodeBinary,
  workDir: string,
  outputPath: string,
  flags = AGENT_FLAGS,
): Promise<void> {
  const copied = copyFile(node.path, outputPath);
  const blobPath = await makeBlob(root, node.target, workDir, flags);
  await copied;
  await chmod(outputPath, 0o755);
  // As a process, for it warns of sections that `strip` removed, on every run.
  await run(findOwnNode(root), [
    join(root, "node_modules", "postject", "dist", "cli.js"),
    outputPath,
    "NODE_SEA_BLOB",
    blobPath,
    "--sentinel-fuse",
    SENTINEL_FUSE,
  ]);
}

async function makeBlob(root: string, target: Target, workDir: string, flags: readonly string[]): Promise<string> {
  const blobName = `${target.platform}.blob`;
  const configName = `${target.platform}.json`;
  const config = {
    main: BUNDLE_NAME,
    output: blobName,
    disableExperimentalSEAWarning: true,
    useCodeCache: target.hasCodeCache,
    // A foreign OpenSSL configuration could load code before the first line of ours.
    execArgv: [...flags, `--openssl-config=${target.nullDevice}`],
    execArgvExtension: "none",
  };
  await writeFile(join(workDir, configName), JSON.stringify(config));
  // The seed makes V8 lay out its code cache the same way each time; V8 leaves it out of what a cache is checked for.
  await run(findOwnNode(root), ["--random-seed=1", "--experimental-sea-config", configName], { cwd: workDir, env: {} });
  return join(workDir, blobName);
}

/** Makes the agent's one executable file: bundle → blob with code cache → injected into Node. */
import { execFile } from "node:child_process";
import { copyFile, chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import type { NodeBinary } from "./node-binary.ts";

const run = promisify(execFile);

/** Relative names only: the blob remembers them, and the same inputs must give the same bytes. */
const BUNDLE_NAME = "agent.cjs";
const BLOB_NAME = "agent.blob";

/** *Source*: Node.js documentation, "Single executable applications". */
const SENTINEL_FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** Writes the executable to `outputPath`, working in `workDir`. */
export async function buildExecutable(
  root: string,
  version: string,
  node: NodeBinary,
  workDir: string,
  outputPath: string,
): Promise<void> {
  const copied = copyFile(node.basePath, outputPath);
  await bundleAgent(root, version, workDir);
  const blobPath = await makeBlob(node, workDir);
  await copied;
  await chmod(outputPath, 0o755);
  // As a process, for it warns of sections that `strip` removed, on every run.
  await run(node.path, [
    join(root, "node_modules", "postject", "dist", "cli.js"),
    outputPath,
    "NODE_SEA_BLOB",
    blobPath,
    "--sentinel-fuse",
    SENTINEL_FUSE,
  ]);
}

async function bundleAgent(root: string, version: string, workDir: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ["agent/main.ts"],
    outfile: join(workDir, BUNDLE_NAME),
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    minify: true,
    legalComments: "none",
    define: { ROLLCALL_BUILD_VERSION: JSON.stringify(version) },
    // A bundle has no place among the sources; own-version.ts asks for it only in their absence.
    logOverride: { "empty-import-meta": "silent" },
    logLevel: "warning",
  });
}

async function makeBlob(node: NodeBinary, workDir: string): Promise<string> {
  const config = {
    main: BUNDLE_NAME,
    output: BLOB_NAME,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    // A foreign OpenSSL configuration could load code before the first line of ours.
    // The heap's ceiling is several times what an update needs; blocks lie outside of it.
    // A small nursery frees the buffers of a download before they leave the processor's caches: half the work.
    execArgv: ["--max-old-space-size=64", "--max-semi-space-size=1", "--openssl-config=/dev/null"],
    execArgvExtension: "none",
  };
  await writeFile(join(workDir, "sea.json"), JSON.stringify(config));
  // The seed makes V8 lay out its code cache the same way each time; V8 leaves it out of what a cache is checked for.
  await run(node.path, ["--random-seed=1", "--experimental-sea-config", "sea.json"], { cwd: workDir, env: {} });
  return join(workDir, BLOB_NAME);
}

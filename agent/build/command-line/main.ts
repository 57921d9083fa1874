/** `npm run build:cli`: builds `rollcall`, the command line, as one executable file a platform. */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { computeVersion, isVersion } from "../../../gen/version.ts";
import { buildExecutable, bundleProgram } from "../executable.ts";
import { prepareNodeBinary } from "../node-binary.ts";
import { chooseTargets } from "../target.ts";

const USAGE = "Usage: build:cli [--platform linux-x64|linux-arm64|all]… [--version VERSION] [--out DIR]";
/** A path, since the layers of server and agent know nothing of each other. */
const ENTRY = "server/command-line/main.ts";
const PROGRAM = "rollcall";
/** Of a process that lives for a second Node's own limits are the right ones. */
const FLAGS: readonly string[] = [];

async function main(): Promise<void> {
  const root = dirname(dirname(dirname(import.meta.dirname)));
  const { values } = parseArgs({
    options: {
      platform: { type: "string", multiple: true, default: ["linux-x64"] },
      version: { type: "string" },
      out: { type: "string" },
    },
  });
  const version = values.version ?? computeVersion(root);
  if (!isVersion(version)) throw new Error(`--version ${JSON.stringify(version)} is no version\n${USAGE}`);
  // It keeps a secret in a file for its owner alone, which Windows knows in other ways.
  const targets = chooseTargets(values.platform)?.filter(({ platform }) => platform !== "windows-x64") ?? [];
  if (targets.length === 0) throw new Error(`--platform ${values.platform.join(", ")} cannot be built\n${USAGE}`);
  const folder = resolve(values.out ?? join(root, "dist", "command-line", version));
  await mkdir(folder, { recursive: true });
  const workDir = await mkdtemp(join(folder, ".build-"));
  try {
    await bundleProgram(root, ENTRY, { ROLLCALL_BUILD_VERSION: JSON.stringify(version) }, workDir);
    for (const target of targets) {
      const built = join(workDir, `${PROGRAM}-${target.platform}`);
      await buildExecutable(root, await prepareNodeBinary(root, target), workDir, built, FLAGS);
      const path = join(folder, target.platform, PROGRAM);
      await mkdir(dirname(path), { recursive: true });
      await rename(built, path);
      process.stdout.write(`${path}\n`);
    }
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`build:cli: ${(error as Error).message}\n`);
  process.exitCode = 1;
});

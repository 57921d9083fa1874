/** The Node binaries that agents are made of: pinned, stripped once, kept. */
import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { NODE_VERSION, TARGETS, type Target } from "./target.ts";

const run = promisify(execFile);

/** A Node binary that an artifact is made of. */
export interface NodeBinary {
  readonly target: Target;
  readonly path: string;
  /** The program that is missing here and would have made the artifact a sixth smaller. */
  readonly missingStrip: string | undefined;
}

/** The Node of this checkout: makes the blob, whose code cache only this version accepts. */
export function findOwnNode(root: string): string {
  return join(root, TARGETS["linux-x64"].nodePath);
}

/**
 * Fetches the target's pinned Node and strips a copy of it, unless that was done before.
 *
 * *Throws* Error when the file is not the pinned one.
 */
export async function prepareNodeBinary(root: string, target: Target): Promise<NodeBinary> {
  const cacheDir = join(root, "dist", "cache");
  await using owned = new AsyncDisposableStack();
  const tools = target.strip === undefined ? undefined : await readVersion(target.strip);
  const missingStrip = tools === undefined ? target.strip : undefined;
  // Another strip may write other bytes: its version is part of the name.
  const name = hash("sha256", `${target.nodeSha256} ${tools ?? "unstripped"}`, "hex").slice(0, 16);
  const path = join(cacheDir, `node-${name}`);
  // What is installed is checked each time: it is what the blob is made by.
  if (target.nodePackage === undefined) await refuseOtherBytes(join(root, target.nodePath), target);
  if (await exists(path)) return { target, path, missingStrip };
  await mkdir(cacheDir, { recursive: true });
  const workDir = await mkdtemp(join(cacheDir, ".node-"));
  owned.defer(() => rm(workDir, { recursive: true, force: true }));
  const pristine = await findPristine(root, target, workDir);
  const copy = join(workDir, "node");
  await copyFile(pristine, copy);
  // Before the injection: a binary that is stripped after it crashes.
  if (tools !== undefined && target.strip !== undefined) await run(target.strip, [copy]);
  await rename(copy, path);
  return { target, path, missingStrip };
}

async function findPristine(root: string, target: Target, workDir: string): Promise<string> {
  if (target.nodePackage === undefined) return join(root, target.nodePath);
  await writeFile(join(workDir, "package.json"), "{}");
  const wanted = `${target.nodePackage}@${NODE_VERSION}`;
  // --force: the package is for another machine than this one.
  const options = ["--force", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  await run("npm", ["install", ...options, wanted], { cwd: workDir });
  const path = join(workDir, target.nodePath);
  await refuseOtherBytes(path, target);
  return path;
}

async function refuseOtherBytes(path: string, target: Target): Promise<void> {
  const sha256 = hash("sha256", await readFile(path), "hex");
  if (sha256 === target.nodeSha256) return;
  throw new Error(`${path} has sha256 ${sha256}, the build is pinned to ${target.nodeSha256}`);
}

/** *Shape*: `undefined` when there is no such program. */
async function readVersion(program: string): Promise<string | undefined> {
  try {
    return (await run(program, ["--version"])).stdout.split("\n")[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

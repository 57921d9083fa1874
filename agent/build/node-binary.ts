/** The Node binary that every agent is made of: pinned, stripped once, kept. */
import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { copyFile, mkdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** sha256 of Node 24.21.0 for linux-x64, as the npm package `node` unpacks it. A build from any other file is refused. */
const NODE_SHA256 = "7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c";

/** A Node binary and what is made of it. */
export interface NodeBinary {
  /** Runs; makes the blob, whose code cache only this version accepts. */
  readonly path: string;
  /** The base of the artifact: without symbols where `strip` is installed. */
  readonly basePath: string;
}

/**
 * Checks the pinned Node and strips a copy of it, unless that was done before.
 *
 * *Throws* Error when the file is not the pinned one.
 */
export async function prepareNodeBinary(root: string): Promise<NodeBinary> {
  const path = join(root, "node_modules", "node", "bin", "node");
  const sha256 = hash("sha256", await readFile(path), "hex");
  if (sha256 !== NODE_SHA256) throw new Error(`${path} has sha256 ${sha256}, the build is pinned to ${NODE_SHA256}`);
  const cacheDir = join(root, "dist", "cache");
  const tools = await stripVersion();
  // Another strip may write other bytes: its version is part of the name.
  const basePath = join(cacheDir, `node-${hash("sha256", `${sha256} ${tools ?? "unstripped"}`, "hex").slice(0, 16)}`);
  if (await exists(basePath)) return { path, basePath };
  await mkdir(cacheDir, { recursive: true });
  const temporaryPath = `${basePath}.${process.pid}`;
  await copyFile(path, temporaryPath);
  // Before the injection: a binary that is stripped after it crashes.
  if (tools !== undefined) await run("strip", [temporaryPath]);
  await rename(temporaryPath, basePath);
  return { path, basePath };
}

async function stripVersion(): Promise<string | undefined> {
  try {
    return (await run("strip", ["--version"])).stdout.split("\n")[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

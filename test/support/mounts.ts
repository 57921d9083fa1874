/** Mounts for tests that need a folder with other rules than the rest of the disk. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Mounts a file system of its own over a folder. Unmounted when disposed. */
export async function mountTmpfs(path: string, options: string): Promise<AsyncDisposable> {
  await run("mount", ["-t", "tmpfs", "-o", options, "rollcall-test", path]);
  return { [Symbol.asyncDispose]: () => unmount(path) };
}

/** Gives a folder, and nothing around it, these mount options from now on. Undone when disposed. */
export async function restrictFolder(path: string, options: "ro" | "noexec"): Promise<AsyncDisposable> {
  await run("mount", ["--bind", path, path]);
  try {
    await run("mount", ["-o", `remount,bind,${options}`, path]);
  } catch (error) {
    await unmount(path);
    throw error;
  }
  return { [Symbol.asyncDispose]: () => unmount(path) };
}

/** *Shape*: `undefined` when this machine allows such mounts, else why not. */
export async function explainNoMounts(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "mounting needs root; run: sudo npm test";
  const folder = await mkdtemp(join(tmpdir(), "rollcall-mount-trial-"));
  try {
    for (const name of ["bound", "own"]) await mkdir(join(folder, name));
    await (await restrictFolder(join(folder, "bound"), "ro"))[Symbol.asyncDispose]();
    await (await mountTmpfs(join(folder, "own"), "size=64k"))[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return `this machine allows no mounts: ${String(error)}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function unmount(path: string): Promise<void> {
  await run("umount", [path]);
}

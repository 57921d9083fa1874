/** The sources of an earlier commit, to run what was built before. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { repositoryRoot } from "../toolchain/repository-root.ts";

const run = promisify(execFile);

/** A checkout of its own. Disposing deletes it. */
export interface FormerSources extends AsyncDisposable {
  readonly folder: string;
}

/** Why the sources of a commit cannot be had; `undefined` when they can. */
export async function explainNoCommit(commit: string): Promise<string | undefined> {
  const found = run("git", ["cat-file", "-e", `${commit}^{commit}`], { cwd: repositoryRoot });
  return found.then(
    () => undefined,
    () => `the history of this checkout does not hold ${commit}`,
  );
}

/** Lays out the sources of a commit, with the packages of today. */
export async function layOutFormerSources(commit: string): Promise<FormerSources> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-former-"));
  const archive = join(folder, "sources.tar");
  await run("git", ["archive", "--output", archive, commit], { cwd: repositoryRoot });
  await run("tar", ["-xf", archive, "-C", folder]);
  for (const name of ["node_modules", "dist"]) await symlink(join(repositoryRoot, name), join(folder, name));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

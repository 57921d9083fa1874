/** Root folders of small Debians, made once a machine and recipe, outside of the repository, and never written to again. */
import { access, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../toolchain/run-command.ts";
import { explainNoMirror, findDebianMirror } from "./debian-mirror.ts";
import { withMachineLock } from "../toolchain/machine-lock.mjs";

const CACHE = "/var/cache/rollcall-test";

/** What a root is made of. */
export interface RootRecipe {
  readonly kind: string;
  readonly suite: string;
  /** Raised whenever the recipe changes. */
  readonly revision: number;
  readonly packages: readonly string[];
  /** What else is done to a root that Debian was put into. */
  readonly complete?: (root: string, signal: AbortSignal) => Promise<void>;
}

/** *Shape*: `undefined` when the root is there or can be fetched, else one line that says why not. */
export async function explainNoRoot(recipe: RootRecipe): Promise<string | undefined> {
  return (await isThere(pathOf(recipe))) ? undefined : await explainNoMirror(await findDebianMirror(), recipe.suite);
}

/** The root's folder, made if it is not there. *Throws* Error with the output of what failed. */
export async function ensureRoot(recipe: RootRecipe, signal: AbortSignal): Promise<string> {
  const { suite, packages, complete } = recipe;
  const path = pathOf(recipe);
  return await withMachineLock(`rollcall-${recipe.kind}-root`, async () => {
    if (await isThere(path)) return path;
    await mkdir(CACHE, { recursive: true, mode: 0o755 });
    // Roots of other recipes stay: another checkout's machines may stand on them.
    const unfinished = `${path}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    const included = packages.length === 0 ? [] : [`--include=${packages.join(",")}`];
    const mirror = await findDebianMirror();
    await runOrThrow("debootstrap", ["--variant=minbase", ...included, suite, unfinished, mirror], signal);
    await complete?.(unfinished, signal);
    await runOrThrow("chroot", [unfinished, "apt-get", "clean"], signal);
    await rm(join(unfinished, "var", "lib", "apt", "lists"), { recursive: true });
    await rename(unfinished, path);
    return path;
  });
}

/** *Throws* Error with the last lines of its output when a program fails. */
export async function runOrThrow(program: string, words: readonly string[], signal: AbortSignal): Promise<void> {
  const { succeeded, output } = await runCommand(program, words, signal);
  signal.throwIfAborted();
  if (!succeeded) throw new Error(`${program} failed:\n${output.split("\n").slice(-20).join("\n")}`);
}

function pathOf({ kind, suite, revision }: RootRecipe): string {
  return join(CACHE, `${kind}-${suite}-${revision}`);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

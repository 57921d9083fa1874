/** Root folders of small Debians, made once a machine and recipe, outside of the repository, and never written to again. */
import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../toolchain/run-command.ts";
// @ts-expect-error -- plain JavaScript that runs before the packages are installed
import { withMachineLock as untyped } from "../toolchain/machine-lock.mjs";

const withMachineLock = untyped as <T>(name: string, work: () => Promise<T>) => Promise<T>;

const CACHE = "/var/cache/rollcall-test";
const MIRROR = "http://deb.debian.org/debian";

/** What a root is made of. */
export interface RootRecipe {
  /** Of several recipes of one kind the last is kept. */
  readonly kind: string;
  readonly suite: string;
  /** Raised whenever the recipe changes. */
  readonly revision: number;
  readonly packages: readonly string[];
  /** What else is done to a root that Debian was put into. */
  readonly complete?: (root: string, signal: AbortSignal) => Promise<void>;
}

/** The root's folder, made if it is not there. *Throws* Error with the output of what failed. */
export async function ensureRoot(recipe: RootRecipe, signal: AbortSignal): Promise<string> {
  const { kind, suite, revision, packages, complete } = recipe;
  const path = join(CACHE, `${kind}-${suite}-${revision}`);
  return await withMachineLock(`rollcall-${kind}-root`, async () => {
    if (await isThere(path)) return path;
    await mkdir(CACHE, { recursive: true, mode: 0o755 });
    for (const name of await readdir(CACHE)) {
      if (name.startsWith(`${kind}-`)) await rm(join(CACHE, name), { recursive: true });
    }
    const unfinished = `${path}.unfinished`;
    const included = packages.length === 0 ? [] : [`--include=${packages.join(",")}`];
    await runOrThrow("debootstrap", ["--variant=minbase", ...included, suite, unfinished, MIRROR], signal);
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

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

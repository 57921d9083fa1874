/**
 * A small Debian with systemd, in a folder: the lower layer of every host. It is
 * made once a machine and recipe, outside of the repository, and never written to
 * again.
 */
import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../toolchain/run-command.ts";
// @ts-expect-error -- plain JavaScript that runs before the packages are installed
import { withMachineLock as untyped } from "../toolchain/machine-lock.mjs";

const withMachineLock = untyped as <T>(name: string, work: () => Promise<T>) => Promise<T>;

const CACHE = "/var/cache/rollcall-test";
const SUITE = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
const PACKAGES: readonly string[] = [
  "systemd",
  "systemd-sysv",
  "dbus",
  "iproute2",
  "ca-certificates",
  "curl",
  "openssl",
];
/** Raised whenever the recipe changes. */
const RECIPE = 2;

/** The folder, made if it is not there. *Throws* Error with the output of what failed. */
export async function ensureDebianRoot(signal: AbortSignal): Promise<string> {
  const path = join(CACHE, `debian-${SUITE}-${RECIPE}`);
  return await withMachineLock("rollcall-debian-root", async () => {
    if (await isThere(path)) return path;
    await mkdir(CACHE, { recursive: true, mode: 0o755 });
    for (const name of await readdir(CACHE)) {
      if (name.startsWith("debian-")) await rm(join(CACHE, name), { recursive: true });
    }
    const unfinished = `${path}.unfinished`;
    const options = ["--variant=minbase", `--include=${PACKAGES.join(",")}`, SUITE, unfinished, MIRROR];
    await runOrThrow("debootstrap", options, signal);
    await runOrThrow("chroot", [unfinished, "apt-get", "clean"], signal);
    await rm(join(unfinished, "var", "lib", "apt", "lists"), { recursive: true });
    await rename(unfinished, path);
    return path;
  });
}

async function runOrThrow(program: string, words: readonly string[], signal: AbortSignal): Promise<void> {
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

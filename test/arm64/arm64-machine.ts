/**
 * A machine for programs of linux-arm64: a folder with Debian's libraries for it and
 * nothing else that could run, in which QEMU carries every program out, those that a
 * program starts itself included. Mounts and the kernel's note of who runs such
 * programs (binfmt_misc) belong to a namespace of each start, so nothing of the
 * machine around it changes and nothing is left behind.
 *
 * *Source*: Linux, Documentation/admin-guide/binfmt-misc.rst; user namespaces have one of their own since 6.7.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../faults/strace-plan.ts";
import { ARM64_PACKAGES, findMissingPackages, formatInstallLine } from "../toolchain/system-packages.ts";

/** Such a machine. Its programs see the system's temporary folder under its own path. */
export interface Arm64Machine extends AsyncDisposable {
  /** In front of a program's path and arguments. */
  readonly launcher: readonly [string, ...string[]];
}

const LIBRARIES = "/usr/aarch64-linux-gnu/lib";
/** Tells its version, as any program would: it is one. */
const TRIAL_PROGRAM = "/lib/ld-linux-aarch64.so.1";

/** ELF, 64 bit, little-endian, program or position-independent one, e_machine 183; F opens QEMU here and now. */
const FORMAT =
  ":rollcall-arm64:M::" +
  "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:" +
  "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:" +
  "/usr/bin/qemu-aarch64-static:F";

/** Where the kernel is too old for a binfmt_misc of one's own, the machine's may know QEMU: Debian's package says so. */
const ENTER = `
set -eu
root=$1; temporary=$2; format=$3; shift 3
mount --bind ${LIBRARIES} "$root/lib"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind "$temporary" "$root$temporary"
if mount -t binfmt_misc none "$root/binfmt" 2>/dev/null; then printf '%s' "$format" > "$root/binfmt/register"; fi
exec chroot "$root" "$@"
`;

/** Makes one; disposing it removes the folder. */
export async function createArm64Machine(): Promise<Arm64Machine> {
  const temporary = tmpdir();
  const root = await mkdtemp(join(temporary, "rollcall-arm64-"));
  for (const name of ["lib", "proc", "dev", "binfmt", temporary]) await mkdir(join(root, name), { recursive: true });
  return {
    launcher: ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ENTER, "arm64", root, temporary, FORMAT],
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  };
}

/** *Shape*: `undefined` when this machine can run programs of linux-arm64, else one line that says why not. */
export async function explainNoArm64(): Promise<string | undefined> {
  const missing = findMissingPackages(ARM64_PACKAGES);
  if (missing.length > 0) return `${missing.join(", ")} missing; run: ${formatInstallLine(missing)}`;
  await using machine = await createArm64Machine();
  const [enter, ...words] = machine.launcher;
  const { status, stderr } = await run(enter, [...words, TRIAL_PROGRAM, "--version"], {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  });
  return status === 0 ? undefined : `this machine cannot run programs of linux-arm64: ${stderr.trim()}`;
}

/**
 * Programs of the system that some tests need. On Debian as root `npm test`
 * installs what is missing; elsewhere those tests are skipped and say which line
 * installs it.
 */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { runVisibly } from "./run-command.ts";

/** A Debian package, told present by a program of it, or by a library's whole path. */
export interface SystemPackage {
  readonly name: string;
  readonly program: string;
}

/** Everything that a test or the build of the agent may need. */
export const SYSTEM_PACKAGES: readonly SystemPackage[] = [
  { name: "binutils", program: "strip" },
  { name: "chromium", program: "chromium" },
  { name: "debootstrap", program: "debootstrap" },
  { name: "e2fsprogs", program: "mkfs.ext4" },
  { name: "iproute2", program: "ip" },
  { name: "fish", program: "fish" },
  { name: "libnginx-mod-stream", program: "/usr/lib/nginx/modules/ngx_stream_module.so" },
  { name: "minisign", program: "minisign" },
  { name: "mount", program: "mount" },
  { name: "nginx", program: "nginx" },
  { name: "openssl", program: "openssl" },
  { name: "python3", program: "python3" },
  { name: "shellcheck", program: "shellcheck" },
  { name: "strace", program: "strace" },
  { name: "systemd", program: "systemd-analyze" },
  { name: "systemd-container", program: "systemd-nspawn" },
  { name: "util-linux", program: "prlimit" },
  { name: "xfsprogs", program: "mkfs.xfs" },
  { name: "zsh", program: "zsh" },
];

/** What running the agent of linux-arm64 needs beside these: `npm run test:arm64`. */
export const ARM64_PACKAGES: readonly SystemPackage[] = [
  { name: "binutils-aarch64-linux-gnu", program: "aarch64-linux-gnu-strip" },
  { name: "qemu-user-static", program: "qemu-aarch64-static" },
  // Brings the C library along.
  { name: "libstdc++6-arm64-cross", program: "/usr/aarch64-linux-gnu/lib/libstdc++.so.6" },
];

/** What running the agent of windows-x64 needs beside them: `npm run test:windows`. */
export const WINDOWS_PACKAGES: readonly SystemPackage[] = [{ name: "debootstrap", program: "debootstrap" }];

/** What building the server's image needs beside them: `npm run test:container`. */
export const CONTAINER_PACKAGES: readonly SystemPackage[] = [
  { name: "buildah", program: "buildah" },
  { name: "debootstrap", program: "debootstrap" },
];

/** Names of the packages whose program is not on this machine. */
export function findMissingPackages(packages = SYSTEM_PACKAGES): readonly string[] {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return packages
    .filter(({ program }) =>
      isAbsolute(program) ? !existsSync(program) : !folders.some((folder) => isProgram(join(folder, program))),
    )
    .map(({ name }) => name);
}

/** The line that installs packages on Debian. */
export function formatInstallLine(names: readonly string[]): string {
  return `sudo apt-get install --no-install-recommends ${names.join(" ")}`;
}

/** Which Debian this is, as in `12`; `undefined` on other systems. */
export function readDebianVersion(): string | undefined {
  try {
    const release = readFileSync("/etc/os-release", "utf8");
    return /^ID=debian$/m.test(release) ? /^VERSION_ID="?(\d+)"?$/m.exec(release)?.[1] : undefined;
  } catch {
    return undefined;
  }
}

/** Installs what is missing where this process may; elsewhere prints how. */
export async function installSystemPackages(packages = SYSTEM_PACKAGES): Promise<void> {
  const missing = findMissingPackages(packages);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || readDebianVersion() === undefined) {
    process.stdout.write(
      `Tests that need ${missing.join(", ")} are skipped. To run them: ${formatInstallLine(missing)}\n`,
    );
    return;
  }
  const lock = ["-o", "DPkg::Lock::Timeout=600"];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await runVisibly("apt-get", ["update", "-qq", ...lock], env);
  await runVisibly("apt-get", ["install", "-qq", "-y", "--no-install-recommends", ...lock, ...missing], env);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../faults/strace-plan.ts";
import { findMissingPackages, formatInstallLine, WINDOWS_PACKAGES } from "../toolchain/system-packages.ts";
import { ensureWineRoot } from "./wine-root.ts";

const TRIAL = `
set -eu
mount -t overlay overlay -o "lowerdir=$FOLDER/lower,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/merged"
mount -t proc proc "$FOLDER/lower"
`;
const ROOT_LIMIT_MS = 1_800_000;

/** *Shape*: `undefined` when this machine can run programs of Windows, Wine being fetched for it if need be; else one line that says why not. */
export async function explainNoWine(): Promise<string | undefined> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "Wine runs programs of windows-x64 on Linux x64 only";
  if (process.getuid?.() !== 0) return "machines of their own need root; run: sudo npm run test:windows";
  const missing = findMissingPackages(WINDOWS_PACKAGES);
  if (missing.length > 0) return `${missing.join(", ")} missing; run: ${formatInstallLine(missing)}`;
  const trouble = await tryMounts();
  if (trouble !== undefined) return `this machine cannot hold machines: ${trouble}`;
  try {
    await ensureWineRoot(AbortSignal.timeout(ROOT_LIMIT_MS));
    return undefined;
  } catch (error) {
    const lines = (error as Error).message.trim().split("\n");
    return `Wine cannot be had here: ${lines.at(0)} ${lines.at(-1)}`;
  }
}

async function tryMounts(): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-windows-trial-"));
  try {
    for (const name of ["lower", "upper", "work", "merged"]) await mkdir(join(folder, name));
    const enter = ["--mount", "--pid", "--fork", "--propagation", "private", "sh", "-c", TRIAL];
    const { status, stderr } = await run("unshare", enter, { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", FOLDER: folder });
    return status === 0 ? undefined : stderr.trim();
  } finally {
    await rm(folder, { recursive: true });
  }
}

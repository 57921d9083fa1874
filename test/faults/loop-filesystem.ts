/**
 * A small file system in a file, whose power can be cut: FS_IOC_SHUTDOWN stops it
 * at once, and what the next mount finds is what had reached the disk.
 *
 * ext4 runs without auto_da_alloc, which would hide a missing fsync, and commits
 * its journal only when asked to.
 */
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./strace-plan.ts";

/** Which file system, with its options. */
export type FilesystemKind = "ext4" | "xfs";

/** What a cut loses: `journalKept` flushes the journal but no data, the crueller one; `nothingKept` neither. */
export type PowerCut = "journalKept" | "nothingKept";

/** How the folders of this process are called; what another run left mounted is not ours. */
export const POWER_FOLDER_PREFIX = `rollcall-power-${process.pid}-`;

/** A mounted file system. */
export interface LoopFilesystem extends AsyncDisposable {
  readonly mountPoint: string;
  /** Cuts the power and mounts what is left. Nobody may have a file open on it. */
  cutPower(cut: PowerCut): Promise<void>;
}

const MAKE: Readonly<Record<FilesystemKind, readonly string[]>> = {
  ext4: ["mkfs.ext4", "-qF"],
  xfs: ["mkfs.xfs", "-q"],
};
const MOUNT_OPTIONS: Readonly<Record<FilesystemKind, string>> = {
  ext4: "loop,commit=300,noauto_da_alloc",
  xfs: "loop",
};
/** *Source*: xfs_fsops.h, XFS_FSOP_GOING_FLAGS_*; the same number for ext4. */
const FLAGS: Readonly<Record<PowerCut, number>> = { journalKept: 1, nothingKept: 2 };
const SHUTDOWN = "open(my $f, '<', $ARGV[0]) or die $!; ioctl($f, 0x8004587D, pack('L', $ARGV[1])) or die $!";

/** Makes and mounts an empty one. Throws Error when this machine does not allow it. */
export async function createLoopFilesystem(kind: FilesystemKind): Promise<LoopFilesystem> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), POWER_FOLDER_PREFIX)));
  const image = join(folder, "image");
  const mountPoint = join(folder, "mounted");
  const mount = (): Promise<void> => mustRun("mount", ["-o", MOUNT_OPTIONS[kind], image, mountPoint]);
  try {
    await mkdir(mountPoint);
    // The smallest that mkfs.xfs makes; it stays sparse.
    await mustRun("truncate", ["-s", "320M", image]);
    const [make = "", ...options] = MAKE[kind];
    await mustRun(make, [...options, image]);
    await mount();
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
  return {
    mountPoint,
    cutPower: async (cut) => {
      await mustRun("perl", ["-e", SHUTDOWN, mountPoint, String(FLAGS[cut])]);
      await mustRun("umount", [mountPoint]);
      await mount();
    },
    [Symbol.asyncDispose]: async () => {
      await mustRun("umount", [mountPoint]);
      await rm(folder, { recursive: true });
    },
  };
}

/** *Shape*: `undefined` when such file systems can be mounted here, else why not. */
export async function explainNoLoopMounts(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "loop mounts need root; run: sudo npm test";
  try {
    for (const kind of ["ext4", "xfs"] as const) await (await createLoopFilesystem(kind))[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return `this machine allows no loop mounts: ${String(error)}`;
  }
}

async function mustRun(command: string, args: readonly string[]): Promise<void> {
  const end = await run(command, args, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
  if (end.status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${end.status ?? end.signal}: ${end.stderr.trim()}`);
}

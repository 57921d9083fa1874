/**
 * Windows, experimental: no real host was updated yet.
 *
 * It lets nobody replace or delete a program that runs, but lets it be renamed. So the
 * running binary steps aside, to `.old.tmp`, before the stage takes its name. Between the
 * two renames no binary stands at the path: `update.cmd`, which starts the agent, puts
 * `.old` there first. What stepped aside is deleted at the next start.
 */
import { rename } from "node:fs/promises";
import { uptime } from "node:os";
import { BinaryPlatform, type PlatformOptions } from "./binary-platform.ts";
import type { SystemRules } from "./system-rules.ts";
import type { UpdatePaths } from "./update-paths.ts";
import type { UpdatePlatform } from "./update-platform.ts";
import { checkWindowsFolders } from "./windows-folders.ts";

const WINDOWS: SystemRules = {
  platform: `windows-${process.arch}`,
  // A file that somebody may write cannot be started.
  runsWhileOpen: false,
  checkFolders: checkWindowsFolders,
  replaceBinary: stepAside,
  // There is no name for a boot. Nobody asks: the guard counts from its own start.
  readMoment: async () => ({ bootId: "none", uptimeMs: Math.round(uptime() * 1000) }),
};

/** Replaces the agent's binary on Windows. Throws Error when a path is not absolute. */
export function createWindowsPlatform(options: PlatformOptions): UpdatePlatform {
  return new BinaryPlatform(options, WINDOWS);
}

async function stepAside({ binary, staged, oldTemporary }: UpdatePaths): Promise<void> {
  await rename(binary, oldTemporary);
  try {
    await rename(staged, binary);
  } catch (error) {
    await rename(oldTemporary, binary);
    throw error;
  }
}

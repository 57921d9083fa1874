import { rename } from "node:fs/promises";
import { BinaryPlatform, type PlatformOptions } from "./binary-platform.ts";
import { readBootMoment } from "./boot-moment.ts";
import { checkLinuxFolders } from "./linux-folders.ts";
import type { SystemRules } from "./system-rules.ts";
import type { UpdatePlatform } from "./update-platform.ts";

const LINUX: SystemRules = {
  platform: `linux-${process.arch}`,
  runsWhileOpen: true,
  checkFolders: checkLinuxFolders,
  replaceBinary: ({ staged, binary }) => rename(staged, binary),
  readMoment: readBootMoment,
};

/** Replaces the agent's binary on Linux. Throws Error when a path is not absolute. */
export function createLinuxPlatform(options: PlatformOptions): UpdatePlatform {
  return new BinaryPlatform(options, LINUX);
}

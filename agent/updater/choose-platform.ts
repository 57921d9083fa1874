import type { PlatformOptions } from "./binary-platform.ts";
import { createLinuxPlatform } from "./linux-platform.ts";
import type { UpdatePlatform } from "./update-platform.ts";
import { createWindowsPlatform } from "./windows-platform.ts";

/** Chooses how this operating system lets a binary be replaced. Throws Error on one that agents cannot update themselves on. */
export function choosePlatform(options: PlatformOptions): UpdatePlatform {
  switch (process.platform) {
    case "linux":
      return createLinuxPlatform(options);
    case "win32":
      return createWindowsPlatform(options);
    default:
      throw new Error(`agents do not run on ${process.platform}`);
  }
}

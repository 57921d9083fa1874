import { createLinuxPlatform, type PlatformOptions } from "./linux-platform.ts";
import type { UpdatePlatform } from "./update-platform.ts";

/** The one place that asks which operating system this is. Throws Error on one that agents cannot update themselves on. */
export function choosePlatform(options: PlatformOptions): UpdatePlatform {
  switch (process.platform) {
    case "linux":
      return createLinuxPlatform(options);
    case "win32":
      throw new Error("agents on Windows cannot update themselves yet");
    default:
      throw new Error(`agents do not run on ${process.platform}`);
  }
}

import { readFile } from "node:fs/promises";

/** A moment of one boot, as a shell script can read it too. Unlike wall time it never jumps. */
export interface BootMoment {
  readonly bootId: string;
  readonly uptimeMs: number;
}

/** *Source*: proc(5), `/proc/uptime` and `/proc/sys/kernel/random/boot_id`. */
export async function readBootMoment(): Promise<BootMoment> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const [uptimeSeconds = ""] = (await readFile("/proc/uptime", "utf8")).split(" ");
  return { bootId, uptimeMs: Math.round(Number(uptimeSeconds) * 1000) };
}

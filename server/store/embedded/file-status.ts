import type { Stats } from "node:fs";
import { lstat, stat } from "node:fs/promises";

/** True for an error of the operating system with one of these names. */
export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);
}

/** Status of `path` itself (a link is not followed), or undefined when nothing is there. */
export async function statusOf(path: string): Promise<Stats | undefined> {
  return await presence(lstat(path));
}

/** Status of what `path` leads to, or undefined when nothing is there. */
export async function targetStatusOf(path: string): Promise<Stats | undefined> {
  return await presence(stat(path));
}

async function presence(status: Promise<Stats>): Promise<Stats | undefined> {
  try {
    return await status;
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}

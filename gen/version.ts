/**
 * The one place that knows the version of a build. A bundler replaces
 * `ROLLCALL_BUILD_VERSION` with a string; a process that runs from the sources
 * gets it from its environment or computes it once, by `computeVersion`.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

declare const ROLLCALL_BUILD_VERSION: string | undefined;

const VERSION_PATTERN = /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$/;

/** True for a string that may name a version. It becomes a path, so `..` may not. */
export function isVersion(text: string): boolean {
  return VERSION_PATTERN.test(text) && !text.includes("..");
}

/**
 * Computes the version of the sources at `root`: `git describe`, else the
 * `version` of its package.json.
 *
 * *Throws* Error when neither gives a string that may name a version.
 */
export function computeVersion(root: string): string {
  const described = describeCommit(root);
  if (described !== undefined && isVersion(described)) return described;
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version?: unknown };
  if (typeof manifest.version === "string" && isVersion(manifest.version)) return manifest.version;
  throw new Error(`neither git nor ${join(root, "package.json")} names a version`);
}

/** The version this process was built as, or `undefined` when it runs from the sources. */
export function builtVersion(): string | undefined {
  return typeof ROLLCALL_BUILD_VERSION === "string" ? ROLLCALL_BUILD_VERSION : undefined;
}

function describeCommit(root: string): string | undefined {
  try {
    return execFileSync("git", ["describe", "--tags", "--always", "--dirty"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // No git, no repository, or one that belongs to another user.
    return undefined;
  }
}

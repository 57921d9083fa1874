import { execFileSync } from "node:child_process";

/**
 * When the sources at `root` were made: `SOURCE_DATE_EPOCH`, else the time of the commit, else 1970.
 *
 * *Source*: reproducible-builds.org, "SOURCE_DATE_EPOCH".
 *
 * *Throws* Error when `epoch` is no whole number of seconds.
 */
export function readSourceTime(root: string, epoch: string | undefined): Date {
  const seconds = epoch ?? readCommitSeconds(root) ?? "0";
  if (!/^[0-9]{1,12}$/.test(seconds))
    throw new Error(`SOURCE_DATE_EPOCH must be seconds since 1970, not ${JSON.stringify(seconds)}`);
  return new Date(Number(seconds) * 1000);
}

function readCommitSeconds(root: string): string | undefined {
  try {
    return execFileSync("git", ["log", "-1", "--format=%ct"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // No git, or no repository: a tarball.
    return undefined;
  }
}

/**
 * The running database as the operating system shows it.
 *
 * `postmaster.pid` says which process serves a data folder, but it outlives a
 * crash, a reboot and a copy of the folder, and process ids are used again. So the
 * file is only a hint: a process counts as this cluster's when it runs as the
 * database's user, from a program named `postgres`, in this very data folder (a
 * postmaster's working directory). It is asked again before every signal.
 */
import { link, readFile, readlink, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Clock } from "../../domain/clock.ts";
import type { Account } from "./account.ts";
import { isSystemError, statusOf, targetStatusOf } from "./file-status.ts";
import { pause } from "./pause.ts";

/** What `postmaster.pid` says and `/proc` confirms. */
export interface Postmaster {
  readonly pid: number;
  /** `starting`, `ready`, `stopping` or `standby`; empty until it has come that far. */
  readonly status: string;
}

/** Where to look for a postmaster and whose it must be. */
export interface PostmasterSite {
  readonly dataFolder: string;
  readonly account: Account;
}

/** *Source*: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's miscadmin.h, counted from 0 here. */
const STATUS_LINE = 7;
const POLL_MS = 25;
const FAST_STOP_MS = 10_000;
const HARD_STOP_MS = 5_000;

/** The postmaster that serves this data folder right now, if any. */
export async function findPostmaster(site: PostmasterSite): Promise<Postmaster | undefined> {
  const lines = await linesOf(join(site.dataFolder, "postmaster.pid"));
  const pid = processId(lines);
  if (pid === undefined || !(await isPostmaster(pid, site))) return undefined;
  return { pid, status: lines?.[STATUS_LINE]?.trim() ?? "" };
}

/**
 * Moves lock files out of the way whose process id now belongs to something else:
 * PostgreSQL would take that process for a rival and refuse to start, as happens
 * in containers, where the same few ids come again. Leaves a file alone that a
 * postmaster wrote anew in the meantime.
 */
export async function setAsideStaleLocks(site: PostmasterSite, socketLock: string): Promise<void> {
  for (const path of [join(site.dataFolder, "postmaster.pid"), socketLock]) {
    const pid = processId(await linesOf(path));
    if (pid === undefined || (await statusOf(`/proc/${pid}`)) === undefined || (await isPostmaster(pid, site)))
      continue;
    await setAside(path, pid);
  }
}

async function setAside(path: string, judgedPid: number): Promise<void> {
  const aside = `${path}.stale-${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return;
    throw error;
  }
  if (processId(await linesOf(aside)) !== judgedPid) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

/**
 * Stops a postmaster the quick and clean way: open transactions roll back, a
 * checkpoint is written. One that does not end in time is made to, in two steps;
 * its next start recovers.
 */
export async function stopPostmaster(postmaster: Postmaster, site: PostmasterSite, clock: Clock): Promise<void> {
  for (const [signal, waitMs] of [
    ["SIGINT", FAST_STOP_MS],
    ["SIGQUIT", HARD_STOP_MS],
    ["SIGKILL", HARD_STOP_MS],
  ] as const) {
    if (!(await signalPostmaster(postmaster, site, signal))) return;
    if (await isGoneWithin(waitMs, postmaster, site, clock)) return;
  }
  throw new Error(`PostgreSQL (process ${postmaster.pid}) did not end, not even when killed`);
}

async function signalPostmaster(
  postmaster: Postmaster,
  site: PostmasterSite,
  signal: NodeJS.Signals,
): Promise<boolean> {
  if (!(await isPostmaster(postmaster.pid, site))) return false;
  try {
    process.kill(postmaster.pid, signal);
    return true;
  } catch (error) {
    if (isSystemError(error, "ESRCH")) return false;
    throw error;
  }
}

async function isGoneWithin(waitMs: number, { pid }: Postmaster, site: PostmasterSite, clock: Clock): Promise<boolean> {
  const endMs = clock.monotonicMs() + waitMs;
  while (clock.monotonicMs() < endMs) {
    if (!(await isPostmaster(pid, site))) return true;
    await pause(clock, POLL_MS);
  }
  return false;
}

async function isPostmaster(pid: number, { dataFolder, account }: PostmasterSite): Promise<boolean> {
  try {
    const folder = `/proc/${pid}`;
    if ((await statusOf(folder))?.uid !== account.uid) return false;
    const [program, arguments_] = await Promise.all([programOf(folder), argumentsOf(folder)]);
    if (program !== undefined && program !== "postgres") return false;
    const named = arguments_[arguments_.indexOf("-D") + 1];
    return await isSameFolder((await workingFolderOf(folder)) ?? named, dataFolder);
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ESRCH")) return false;
    throw error;
  }
}

/**
 * A zombie has neither program nor working folder (ENOENT). Root without
 * CAP_SYS_PTRACE, as in a container, may not look at either (EACCES): there the
 * arguments, which everybody may read, must do.
 */
async function programOf(folder: string): Promise<string | undefined> {
  const path = await unlessForbidden(readlink(join(folder, "exe")));
  return path === undefined ? undefined : basename(path.replace(/ \(deleted\)$/, ""));
}

async function workingFolderOf(folder: string): Promise<string | undefined> {
  const path = join(folder, "cwd");
  return (await unlessForbidden(readlink(path))) === undefined ? undefined : path;
}

async function argumentsOf(folder: string): Promise<readonly string[]> {
  return (await readFile(join(folder, "cmdline"), "utf8")).split("\0");
}

async function unlessForbidden(link: Promise<string>): Promise<string | undefined> {
  try {
    return await link;
  } catch (error) {
    if (isSystemError(error, "EACCES", "EPERM")) return undefined;
    throw error;
  }
}

async function isSameFolder(candidate: string | undefined, dataFolder: string): Promise<boolean> {
  if (candidate === undefined || !candidate.startsWith("/")) return false;
  const [one, other] = await Promise.all([targetStatusOf(candidate), targetStatusOf(dataFolder)]);
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}

/** *Shape*: undefined for a file that holds no process id; a negative one stands for a single-user session. */
function processId(lines: readonly string[] | undefined): number | undefined {
  const pid = Number(lines?.[0]);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
}

async function linesOf(path: string): Promise<readonly string[] | undefined> {
  try {
    return (await readFile(path, "utf8")).split("\n");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/**
 * Child processes that end for certain. Each leads a process group of its own, so
 * that a terminal's Ctrl-C reaches only who started it, and so that whatever a
 * child started itself is ended with it.
 */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import type { Clock } from "../../agent/clock.ts";

/** How to start a child. */
export interface ChildOrder {
  readonly program: string;
  readonly programArguments: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly stdio: StdioOptions;
}

/** Starts a child as the leader of its own process group. */
export function spawnGroup(order: ChildOrder): ChildProcess {
  return spawn(order.program, order.programArguments, {
    cwd: order.cwd,
    env: order.env,
    stdio: order.stdio,
    detached: true,
  });
}

/** Resolves with the exit status once the child ended; 128 stands for any signal. *Throws* Error when it never started. */
export async function waitForExit(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode ?? 128;
}

/** Ends a child's whole group: SIGTERM, and SIGKILL for what is left after `graceMs`. */
export async function stopGroup(child: ChildProcess, clock: Clock, graceMs: number): Promise<void> {
  if (child.pid === undefined) return;
  signalGroup(child.pid, "SIGTERM");
  const inTime = new AbortController();
  const exit = waitForExit(child).finally(() => inTime.abort());
  await clock.sleep(graceMs, inTime.signal).catch(() => undefined);
  signalGroup(child.pid, "SIGKILL");
  await exit;
}

function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    // ESRCH: nobody of the group is left.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

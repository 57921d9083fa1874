/** `guard`: this program as the guard of the version that came after it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { basename, join, win32 } from "node:path";
import type { Clock } from "../clock.ts";
import type { AgentPaths, GuardMode } from "../command-line.ts";
import type { Log } from "../log.ts";
import { OperatorError } from "../operator-error.ts";
import { canReachServer } from "../reach.ts";
import { updatePaths } from "../updater/update-paths.ts";
import { look, stopped, watch, type GuardParts } from "./guard.ts";

const ASK_LIMIT_MS = 8_000;
const KEPT_NAME = /^(.+\.exe)\.old$/;
const MODES: Readonly<Record<GuardMode, (parts: GuardParts) => Promise<void>>> = { look, stopped, watch };

/** *Throws* OperatorError unless this is the version before, on Windows. */
export async function runGuard(
  command: AgentPaths & { readonly mode: GuardMode },
  clock: Clock,
  log: Log,
): Promise<void> {
  const [, binary] = KEPT_NAME.exec(process.execPath) ?? [];
  if (process.platform !== "win32" || binary === undefined)
    throw new OperatorError("guard is run on Windows, from the version that an update kept as .old", { exitStatus: 2 });
  await MODES[command.mode]({
    paths: updatePaths(binary, command.stateDir),
    clock,
    log,
    reachesServer: () => canReachServer(command, clock),
    newReachesServer: () => askBinary(binary, command, clock),
    startWatch: () => startWatch(command),
    endAgent: () => endProcesses(basename(binary)),
  });
}

/** This program once more, detached, with a log of its own: the agent's is taken. */
function startWatch({ configPath, stateDir }: AgentPaths): void {
  const output = openSync(join(stateDir, "guard.log"), "a");
  try {
    const words = ["guard", "watch", "--config", configPath, "--state-dir", stateDir];
    const stdio = ["ignore", output, output] as const;
    spawn(process.execPath, words, { detached: true, stdio: [...stdio], windowsHide: true }).unref();
  } finally {
    closeSync(output);
  }
}

async function askBinary(binary: string, { configPath, stateDir }: AgentPaths, clock: Clock): Promise<boolean> {
  const child = spawn(binary, ["--reach", "--config", configPath, "--state-dir", stateDir], {
    env: {},
    stdio: "ignore",
    windowsHide: true,
  });
  const limit = new AbortController();
  const timedOut = clock.sleep(ASK_LIMIT_MS, limit.signal).catch(() => undefined);
  const status = await Promise.race([untilEnded(child), timedOut]);
  limit.abort();
  child.kill("SIGKILL");
  return status === 0;
}

/** By the name of their file, and only those that this account may end. */
async function endProcesses(fileName: string): Promise<void> {
  const system = win32.join(process.env["SystemRoot"] ?? "C:\\Windows", "System32");
  await untilEnded(
    spawn(win32.join(system, "taskkill.exe"), ["/f", "/im", fileName], { stdio: "ignore", windowsHide: true }),
  );
}

/** *Shape*: the exit status; 1 for what could not be started. */
function untilEnded(child: ChildProcess): Promise<number> {
  return once(child, "exit").then(
    ([status]: (number | null)[]) => status ?? 1,
    () => 1,
  );
}

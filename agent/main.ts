/** The agent's process: one command, its output, its exit status. */
import "./scrub-environment.ts"; // first: the others read the environment while they load
import { resolve } from "node:path";
import { inspect } from "node:util";
import { formatFindings, hasFailure } from "../gen/finding.ts";
import { systemClock, systemRandom, wallTime } from "./clock-system.ts";
import { HELP, parseCommandLine, type AgentPaths, type Command } from "./command-line.ts";
import { loadConfig, loadRoots } from "./config-file.ts";
import { examineHost } from "./doctor/examine-host.ts";
import { enroll } from "./enroll.ts";
import { createLog } from "./log.ts";
import { OperatorError } from "./operator-error.ts";
import { ownVersion } from "./own-version.ts";
import { canReachServer } from "./reach.ts";
import { runAgent } from "./run.ts";
import { openJobLog } from "./updater/job-log.ts";
import { updatePaths } from "./updater/update-paths.ts";
import { runGuard } from "./windows/run-guard.ts";

/**
 * How `run` ends when it was asked to or was replaced. To whoever watches the process any exit status, 0 included, is
 * then a crash: nobody asked for it.
 */
const IN_ORDER = "SIGTERM";
/** The same on Windows, which has no signals: by the number that a shell gives to this one. `update.cmd` knows it. */
const IN_ORDER_STATUS = 143;

async function execute(command: Command): Promise<number | typeof IN_ORDER> {
  switch (command.kind) {
    case "help":
      print(HELP);
      return 0;
    case "version":
      print(`${ownVersion()}\n`);
      return 0;
    case "probe":
      print(`${ownVersion()}\n`);
      await loadRoots(await loadConfig(command.configPath), command.configPath);
      return 0;
    case "reach":
      return (await canReachServer(command, systemClock)) ? 0 : 1;
    case "doctor":
      return await tellFindings(command);
    case "enroll":
      print(`enrolled as ${await enroll(command, systemClock)}\n`);
      return 0;
    case "guard":
      await runGuard(command, systemClock, createLog(print, wallTime));
      return 0;
    case "run":
      await run(command);
      return IN_ORDER;
  }
}

/** What a version that is not confirmed yet says is kept, whatever ends it. */
async function run(command: AgentPaths): Promise<void> {
  using jobLog = await openJobLog(updatePaths(process.execPath, command.stateDir), ownVersion());
  process.on("uncaughtExceptionMonitor", (error) => jobLog.write(`${inspect(error)}\n`));
  const write = (line: string): void => {
    print(line);
    jobLog.write(line);
  };
  try {
    await runAgent(command, systemClock, systemRandom, createLog(write, wallTime), jobLog, stopSignal());
  } catch (error) {
    jobLog.write(`${error instanceof OperatorError ? error.message : inspect(error)}\n`);
    throw error;
  }
}

async function tellFindings(command: Command & { kind: "doctor" }): Promise<number> {
  const findings = await examineHost(command, process.execPath, systemClock);
  print(command.isJson ? `${JSON.stringify({ findings })}\n` : `${formatFindings(findings).join("\n")}\n`);
  return hasFailure(findings) ? 1 : 0;
}

/** Paths are made absolute at once: nothing later depends on the working directory. */
function withAbsolutePaths(command: Command): Command {
  if (!("configPath" in command)) return command;
  return { ...command, configPath: resolve(command.configPath), stateDir: resolve(command.stateDir) };
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const)
    process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
  return stop.signal;
}

function print(text: string): void {
  process.stdout.write(text);
}

async function main(): Promise<number | typeof IN_ORDER> {
  try {
    return await execute(withAbsolutePaths(parseCommandLine(process.argv.slice(2))));
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    process.stderr.write(`rollcall-agent: ${error.message}\n`);
    return error.exitStatus;
  }
}

main().then(
  (end) => {
    if (end !== IN_ORDER) process.exit(end);
    process.removeAllListeners(IN_ORDER);
    if (process.platform === "win32") process.exit(IN_ORDER_STATUS);
    process.kill(process.pid, IN_ORDER);
  },
  (error: unknown) => {
    // Not foreseen: the whole stack is worth more than a tidy line. The service manager starts it again.
    console.error(error);
    process.exit(70);
  },
);

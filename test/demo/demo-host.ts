/** One host of the demo: a folder with the agent's binary, its configuration and its state. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { copyFile, mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../agent/clock.ts";
import { supervise, type Supervised } from "./supervisor.ts";

/** *Units*: milliseconds. RestartSec of the agent's unit, and systemd's own default. */
export const RESTART_DELAY_MS = 100;

const run = promisify(execFile);

/** Where the parts of one host lie. */
export interface DemoHost {
  readonly name: string;
  readonly folder: string;
  readonly binaryPath: string;
  readonly configPath: string;
  readonly stateDir: string;
  readonly logPath: string;
  readonly launcher: readonly string[];
}

/** What a host is made from. */
export interface HostOrder {
  /** The folder that holds all hosts. */
  readonly folder: string;
  readonly name: string;
  /** The agent to begin with. */
  readonly binaryPath: string;
  /** `host:port` of the agent listener. */
  readonly server: string;
  readonly caFile: string;
  /** *Units*: bytes that its agent leaves free. */
  readonly reserveBytes?: number;
  /** A command that runs the agent somewhere else, such as in another network namespace; none for here. */
  readonly launcher?: readonly string[];
}

/** Lays out a host and enrols it with a one-time token. */
export async function createHost(order: HostOrder, token: string, signal: AbortSignal): Promise<DemoHost> {
  const folder = join(order.folder, order.name);
  const host: DemoHost = {
    name: order.name,
    folder,
    binaryPath: join(folder, "bin", "rollcall-agent"),
    configPath: join(folder, "agent.json"),
    stateDir: join(folder, "state"),
    logPath: join(folder, "agent.log"),
    launcher: order.launcher ?? [],
  };
  await mkdir(join(folder, "bin"), { recursive: true, mode: 0o755 });
  await mkdir(host.stateDir, { mode: 0o700 });
  await copyFile(order.binaryPath, host.binaryPath, constants.COPYFILE_EXCL);
  await syncFile(host.binaryPath);
  const config = {
    servers: [order.server],
    ca_pem: await readFile(order.caFile, "utf8"),
    hostname: order.name,
    ...(order.reserveBytes === undefined ? {} : { reserve_bytes: order.reserveBytes }),
  };
  await writeFile(host.configPath, JSON.stringify(config, null, 2));
  const { program, programArguments } = commandOf(host, "enroll");
  await run(program, programArguments, { env: { ROLLCALL_TOKEN: token }, signal });
  return host;
}

/** A host's binary has long been on its disk when an update comes; else the update's own fsync would wait for it. */
async function syncFile(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

/** Breaks the host's configuration: an agent that runs goes on, one that starts dies. */
export async function breakConfig(host: DemoHost): Promise<void> {
  await writeFile(host.configPath, "{");
}

/** Keeps the host's agent running. */
export function startAgent(host: DemoHost, clock: Clock): Supervised {
  return supervise(
    {
      ...commandOf(host, "run"),
      cwd: "/",
      env: {},
      logPath: host.logPath,
      restartDelayMs: RESTART_DELAY_MS,
    },
    clock,
  );
}

function commandOf(host: DemoHost, verb: "enroll" | "run") {
  const files = ["--config", host.configPath, "--state-dir", host.stateDir];
  const [program = "", ...programArguments] = [...host.launcher, host.binaryPath, verb, ...files];
  return { program, programArguments };
}

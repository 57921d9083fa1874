/** The real server as a process of its own, with its embedded PostgreSQL under a data directory. */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Clock } from "../../agent/clock.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { removeLeftoverDatabase } from "./leftover-database.ts";
import { spawnGroup, stopGroup, waitForExit } from "./process-group.ts";

const STOP_GRACE_MS = 20_000;

/** A server that said it is ready. */
export interface ServerProcess extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly web: string;
  /** `127.0.0.1:<port>` */
  readonly agents: string;
  readonly adminToken: string;
  /** The file that holds the token, for its owner alone. */
  readonly adminTokenFile: string;
  /** The file that holds the link by which somebody becomes the first admin. */
  readonly setupLinkFile: string;
  /** File of the certificate authority that agents pin. */
  readonly caFile: string;
  /** Settles when the process ended, whoever ended it. */
  readonly exited: Promise<number>;
}

/** What a server is started with. */
export interface ServerOrder {
  readonly folder: string;
  readonly version: string;
  readonly releasesDir: string;
  /** Where agents connect to; this machine's own address unless given. */
  readonly agentAddress?: string | undefined;
}

interface ReadyLine {
  readonly event: string;
  readonly web: string;
  readonly agents: string;
}

/**
 * Starts a server on ports of the system's choice and waits for its ready line.
 *
 * *Throws* Error with the end of its log when it ends before, the signal's reason when that is aborted first.
 */
export async function startServer(order: ServerOrder, clock: Clock, signal: AbortSignal): Promise<ServerProcess> {
  signal.throwIfAborted();
  const dataDir = join(order.folder, "data");
  const logPath = join(order.folder, "server.log");
  await mkdir(dataDir, { mode: 0o700 });
  const child = spawnGroup({
    program: process.execPath,
    programArguments: [join(repositoryRoot, "server", "main.ts")],
    cwd: order.folder,
    env: {
      PATH: process.env.PATH,
      ROLLCALL_DATA_DIR: dataDir,
      ROLLCALL_WEB_LISTEN: "127.0.0.1:0",
      ROLLCALL_AGENT_LISTEN: `${order.agentAddress ?? "127.0.0.1"}:0`,
      ROLLCALL_VERSION: order.version,
      ROLLCALL_RELEASES_DIR: order.releasesDir,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = waitForExit(child);
  exited.catch(() => undefined);
  const log = createWriteStream(logPath);
  const stop = async (): Promise<void> => {
    await stopGroup(child, clock, STOP_GRACE_MS);
    for (const output of [child.stdout, child.stderr]) output?.unpipe(log).destroy();
    const closed = once(log, "close");
    log.end();
    await closed;
    await removeLeftoverDatabase(dataDir, clock);
  };
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  try {
    const ready = await waitForReady(child.stdout, exited, logPath, signal);
    const adminTokenFile = join(dataDir, "admin-token");
    return {
      web: ready.web,
      agents: ready.agents,
      adminToken: (await readFile(adminTokenFile, "utf8")).trim(),
      adminTokenFile,
      setupLinkFile: join(dataDir, "setup-link"),
      caFile: join(dataDir, "tls", "ca.crt"),
      exited,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function waitForReady(
  stdout: NodeJS.ReadableStream | null,
  exited: Promise<number>,
  logPath: string,
  signal: AbortSignal,
): Promise<ReadyLine> {
  if (stdout === null) throw new Error("the server's output is not read");
  const lines = createInterface({ input: stdout, signal });
  const ready = new Promise<ReadyLine>((resolve, reject) => {
    lines.on("line", (line) => {
      const parsed = parseReadyLine(line);
      if (parsed !== undefined) resolve(parsed);
    });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const ended = exited.then(async (status) => {
    throw new Error(`the server ended with ${status} before it was ready:\n${await readTail(logPath)}`);
  });
  return Promise.race([ready, ended]);
}

function parseReadyLine(line: string): ReadyLine | undefined {
  try {
    const value = JSON.parse(line) as Partial<ReadyLine>;
    return value.event === "ready" ? (value as ReadyLine) : undefined;
  } catch {
    return undefined;
  }
}

/** The last lines of a log file, for an error. */
async function readTail(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").slice(-20).join("\n");
}

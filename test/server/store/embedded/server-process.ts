import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What a server program is asked to do. */
export interface ServerOrder {
  readonly dataDir: string;
  /** Connections that write without pause. */
  readonly writers: number;
  /** Becomes this user (and group) before it starts its database. */
  readonly userId?: number;
  /** Takes PostgreSQL's files from a copy made here as the user that it was started by. */
  readonly copyBinariesTo?: string;
}

/** One line of its output. */
export type ServerLine =
  | { readonly socketDir: string }
  | { readonly log: string }
  | { readonly acked: number }
  | { readonly refused: string };

/** A running server program. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything it printed so far. */
  readonly lines: readonly ServerLine[];
  /** Resolves with the first line, printed already or yet to come, that `select` gives a value for. Throws when it ends before. */
  waitFor<T>(select: (line: ServerLine) => T | undefined): Promise<T>;
  /** Sends a signal and resolves with the exit code once it ended and its output was read. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

const PROGRAM = fileURLToPath(new URL("./server-program.ts", import.meta.url));

/** Starts a server program. */
export function startServerProcess(order: Partial<ServerOrder> & { readonly dataDir: string }): ServerProcess {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify({ writers: 0, ...order })], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: "/",
  });
  if (child.pid === undefined) throw new Error("the server program did not start");
  const lines: ServerLine[] = [];
  const watchers = new Set<() => void>();
  const notify = () => {
    for (const watcher of watchers) watcher();
  };
  let hasEnded = false;
  createInterface(child.stdout).on("line", (line) => {
    lines.push(JSON.parse(line) as ServerLine);
    notify();
  });
  const ended = once(child, "close").then(([code]: (number | null)[]) => {
    hasEnded = true;
    notify();
    return code ?? null;
  });
  return {
    pid: child.pid,
    lines,
    ended,
    async waitFor(select) {
      const { promise, resolve, reject } = Promise.withResolvers<NonNullable<ReturnType<typeof select>>>();
      const look = () => {
        for (const line of lines) {
          const value = select(line);
          if (value !== undefined && value !== null) return resolve(value);
        }
        if (hasEnded) reject(new Error(`the server program ended after printing ${JSON.stringify(lines)}`));
      };
      watchers.add(look);
      look();
      return await promise.finally(() => watchers.delete(look));
    },
    async end(signal) {
      child.kill(signal);
      return await ended;
    },
    async [Symbol.asyncDispose]() {
      if (hasEnded) return;
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Selects the socket's folder: the server runs. */
export function readyLine(line: ServerLine): string | undefined {
  return "socketDir" in line ? line.socketDir : undefined;
}

/** Selects why it did not start. */
export function refusedLine(line: ServerLine): string | undefined {
  return "refused" in line ? line.refused : undefined;
}

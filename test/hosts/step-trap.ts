/**
 * Stops a host's agent right after it made one call on one file. Its machine or its
 * process may be killed there, or something be done to it before it goes on.
 *
 * strace looks in from outside of the host, so that the unit stays as shipped.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { AGENT_PATHS, AGENT_UNIT } from "./agent-host.ts";
import type { SystemdHost } from "./systemd-host.ts";

/** A call that changes what stands on the disk. */
export interface Step {
  /** Names of system calls, any of which it may be. */
  readonly calls: readonly string[];
  /** The call's first file, as the host names it: strace 6.1 compares no other. */
  readonly path: string;
}

/** The new binary takes the place of the old one. */
export const SWAP: Step = { calls: ["rename"], path: AGENT_PATHS.staged };

/** A trap that was set. Disposing it lets the agent go on. */
export class StepTrap implements AsyncDisposable {
  readonly #tracer: ChildProcess;
  readonly #processes: readonly number[];
  readonly #lines: string[] = [];
  readonly #ended: Promise<never>;
  #look: () => void = () => undefined;

  private constructor(tracer: ChildProcess, processes: readonly number[]) {
    this.#tracer = tracer;
    this.#processes = processes;
    const { stderr } = tracer;
    if (stderr === null) throw new Error("strace has no output");
    createInterface({ input: stderr }).on("line", (line) => {
      this.#lines.push(line);
      this.#look();
    });
    this.#ended = once(tracer, "close").then(() => {
      throw new Error(`strace ended:\n${this.#lines.join("\n")}`);
    });
    this.#ended.catch(() => undefined);
  }

  /** Sets a trap for the agent that runs on this host now. */
  static async set(host: SystemdHost, { calls, path }: Step): Promise<StepTrap> {
    const processes = await host.processesOf(AGENT_UNIT);
    const targets = processes.flatMap((pid) => ["-p", String(pid)]);
    const names = calls.join(",");
    const what = ["-P", path, "-e", `trace=${names}`, "-e", `inject=${names}:signal=SIGSTOP`];
    const trap = new StepTrap(
      spawn("strace", ["-f", ...targets, ...what], { stdio: ["ignore", "ignore", "pipe"] }),
      processes,
    );
    await trap.#until(/ attached/);
    return trap;
  }

  /** Resolves once the agent stands still after the step. */
  async sprung(): Promise<void> {
    await this.#until(/--- SIGSTOP /);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#tracer.exitCode === null && this.#tracer.signalCode === null) {
      this.#tracer.kill("SIGTERM");
      await this.#ended.catch(() => undefined);
    }
    for (const pid of this.#processes) {
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // It was killed meanwhile.
      }
    }
  }

  async #until(pattern: RegExp): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#look = () => {
        if (this.#lines.some((line) => pattern.test(line))) resolve();
      };
      this.#look();
    });
    await Promise.race([seen, this.#ended]);
  }
}

/** A host's agent and its guard, run as their units run them: the agent is started again whenever it ends. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentHost } from "./agent-host.ts";

const GUARD = new URL("../../agent/guard/guard.sh", import.meta.url);

/** How long the guard waits for a confirmation. *Units*: seconds; 45 as it is shipped. */
export interface GuardedAgentOptions {
  readonly patienceS: number;
}

/** Runs until it is disposed. */
export class GuardedAgent implements AsyncDisposable {
  readonly #host: AgentHost;
  readonly #guard: string;
  readonly #watch: ChildProcess;
  readonly #ended: Promise<void>;
  #agent: ChildProcess | undefined;
  #isStopping = false;

  private constructor(host: AgentHost, guard: string) {
    this.#host = host;
    this.#guard = guard;
    this.#watch = this.#spawnGuard("watch", {});
    this.#ended = this.#keepRunning();
  }

  static async start(host: AgentHost, { patienceS }: GuardedAgentOptions): Promise<GuardedAgent> {
    const guard = join(host.paths.stateDir, "..", "guard.sh");
    const text = await readFile(GUARD, "utf8");
    const quicker = text
      .replace("PATIENCE_MS=45000", `PATIENCE_MS=${patienceS * 1000}`)
      .replace("SECOND_LOOK_S=10", "SECOND_LOOK_S=1")
      .replace("LOOK_EVERY_S=5", "LOOK_EVERY_S=1");
    await writeFile(guard, quicker);
    return new GuardedAgent(host, guard);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#watch.kill("SIGKILL");
    this.#agent?.kill("SIGTERM");
    await this.#ended;
  }

  #spawnGuard(mode: "watch" | "stopped", env: Readonly<Record<string, string>>): ChildProcess {
    const { paths, configPath } = this.#host;
    return spawn("sh", [this.#guard, mode, paths.binary, paths.stateDir, configPath], { env, stdio: "ignore" });
  }

  /** What a service manager tells ExecStopPost of a program that ended or could not be started. */
  async #keepRunning(): Promise<void> {
    while (!this.#isStopping) {
      const agent = spawn(this.#host.paths.binary, this.#host.runArguments, { cwd: "/", env: {}, stdio: "ignore" });
      this.#agent = agent;
      const [status, signal] = (await once(agent, "exit").catch(() => [203, null])) as [number | null, string | null];
      if (this.#isStopping) return;
      const end = { EXIT_CODE: signal === null ? "exited" : "killed", EXIT_STATUS: signal?.slice(3) ?? String(status) };
      await once(this.#spawnGuard("stopped", end), "exit");
    }
  }
}

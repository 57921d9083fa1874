/** A built agent at work, by what it says on its log. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Readable } from "node:stream";
import type { AgentHost } from "./agent-host.ts";

/** One line of the agent's log. */
interface LogLine {
  readonly event: string;
}

/** One process of a host's agent. Disposing it asks it to stop and waits. */
export class AgentProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #ended: Promise<unknown>;
  readonly #events: string[] = [];
  readonly #lines: Interface;
  readonly #connected: Promise<void>;

  private constructor(host: AgentHost) {
    this.#child = spawn(host.paths.binary, host.runArguments, {
      cwd: "/",
      env: {},
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#ended = once(this.#child, "exit");
    const lines = createInterface({ input: this.#child.stdout });
    this.#lines = lines;
    this.#connected = new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        const { event } = JSON.parse(line) as LogLine;
        this.#events.push(event);
        if (event === "connected") resolve();
      });
      lines.once("close", () => reject(new Error(`the agent ended after ${this.#events.join(", ")}`)));
    });
  }

  /** Starts the host's agent and resolves once a server welcomed it. */
  static async start(host: AgentHost): Promise<AgentProcess> {
    const agent = new AgentProcess(host);
    await agent.#connected;
    return agent;
  }

  /** What it said so far, by the names of the events. */
  get events(): readonly string[] {
    return this.#events;
  }

  /** Resolves once it has said this so many times. */
  async until(event: string, count = 1): Promise<void> {
    while (this.#events.filter((said) => said === event).length < count) await once(this.#lines, "line");
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
  }
}

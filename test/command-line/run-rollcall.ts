/** The command line as a process of its own, with a home of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "vitest";
import { repositoryRoot } from "../toolchain/repository-root.ts";

/** Halves what a start costs. */
const COMPILE_CACHE = join(repositoryRoot, "node_modules", ".cache", "rollcall-test-command-line");

/** What a command said, and how it ended. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitStatus: number | null;
}

/** A person at a machine: whoever runs commands from here keeps their sign-in here. */
export class Desk implements AsyncDisposable {
  readonly #home: string;
  /** What runs: the sources, or an executable. */
  readonly #program: readonly string[];

  private constructor(home: string, program: readonly string[]) {
    this.#home = home;
    this.#program = program;
  }

  static async open(
    program = [process.execPath, join(repositoryRoot, "server", "command-line", "main.ts")],
  ): Promise<Desk> {
    return new Desk(await mkdtemp(join(tmpdir(), "rollcall-desk-")), program);
  }

  /** The file that keeps the sign-in. */
  get loginFile(): string {
    return join(this.#home, "config", "rollcall", "login.json");
  }

  /** Runs one command to its end. */
  async run(
    words: readonly string[],
    { input = "", env = {} }: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<CommandResult> {
    const child = this.start(words, env);
    child.stdin.end(input);
    const [stdout, stderr, [exitStatus]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit") as Promise<[number | null]>,
    ]);
    return { stdout, stderr, exitStatus };
  }

  /** Starts a command that a test follows itself. */
  start(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [program = "", ...before] = this.#program;
    return spawn(program, [...before, ...words], {
      cwd: this.#home,
      env: {
        PATH: process.env["PATH"],
        HOME: this.#home,
        XDG_CONFIG_HOME: join(this.#home, "config"),
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        TZ: "UTC",
        ...env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#home, { recursive: true, force: true });
  }
}

/** Checks how a command ended, and that it said this, as a result or beside it. */
export function expectEnd({ stdout, stderr, exitStatus }: CommandResult, wanted: number, sentence: string): void {
  expect(stdout + stderr).toContain(sentence);
  expect(exitStatus, stderr).toBe(wanted);
}

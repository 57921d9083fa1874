import { spawn } from "node:child_process";
import { repositoryRoot } from "./repository-root.ts";

/** How a command ended and what it printed. */
export interface CommandResult {
  readonly succeeded: boolean;
  /** Both streams as they came. */
  readonly output: string;
}

/** A result that tells a program's answer from its warnings. */
export interface ProgramResult extends CommandResult {
  readonly stdout: string;
}

/** Runs a program in the repository's root and collects what it prints. It gets SIGTERM when `signal` is aborted. */
export function runCommand(
  command: string,
  commandArguments: readonly string[],
  signal?: AbortSignal,
): Promise<ProgramResult> {
  const child = spawn(command, commandArguments, { cwd: repositoryRoot, stdio: ["ignore", "pipe", "pipe"], signal });
  const output: Buffer[] = [];
  const stdout: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    output.push(chunk);
    stdout.push(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const join = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
  return new Promise((resolve) => {
    child.on("error", (error) => {
      // Of one that was called off, the end is waited for.
      if (signal?.aborted !== true)
        resolve({ succeeded: false, output: `${command} does not start: ${error.message}\n`, stdout: "" });
    });
    child.on("close", (status) => resolve({ succeeded: status === 0, output: join(output), stdout: join(stdout) }));
  });
}

/** Runs a program in the repository's root on this process's own streams. True when it ended with 0. */
export function runVisibly(command: string, commandArguments: readonly string[], env = process.env): Promise<boolean> {
  const child = spawn(command, commandArguments, { cwd: repositoryRoot, stdio: ["ignore", "inherit", "inherit"], env });
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on("SIGINT", forward).on("SIGTERM", forward);
  return new Promise((resolve) => {
    const settle = (succeeded: boolean): void => {
      process.off("SIGINT", forward).off("SIGTERM", forward);
      resolve(succeeded);
    };
    child.on("error", (error) => {
      process.stderr.write(`${command} does not start: ${error.message}\n`);
      settle(false);
    });
    child.on("exit", (status) => settle(status === 0));
  });
}

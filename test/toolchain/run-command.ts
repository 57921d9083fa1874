import { spawn } from "node:child_process";
import { repositoryRoot } from "./repository-root.ts";

/** How a command ended and everything it printed, both streams as they came. */
export interface CommandResult {
  readonly succeeded: boolean;
  readonly output: string;
}

/** Runs a program in the repository's root and collects what it prints. */
export function runCommand(command: string, commandArguments: readonly string[]): Promise<CommandResult> {
  const child = spawn(command, commandArguments, { cwd: repositoryRoot, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.on("error", (error) =>
      resolve({ succeeded: false, output: `${command} does not start: ${error.message}\n` }),
    );
    child.on("close", (status) => resolve({ succeeded: status === 0, output: Buffer.concat(chunks).toString("utf8") }));
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

import { EXIT, type ExitStatus } from "./exit-status.ts";

/** Something that whoever typed the command should know, in sentences. The process ends with `exitStatus`. */
export class CommandError extends Error {
  readonly exitStatus: ExitStatus;
  /** The server's name for a refusal, such as `host_offline`; empty for everything else. */
  readonly reason: string;

  constructor(sentence: string, exitStatus: ExitStatus, options: { cause?: unknown; reason?: string } = {}) {
    super(sentence, { cause: options.cause });
    this.name = "CommandError";
    this.exitStatus = exitStatus;
    this.reason = options.reason ?? "";
  }
}

/** One that says what is wrong with the command line, a file or a value. */
export function usageError(sentence: string, cause?: unknown): CommandError {
  return new CommandError(sentence, EXIT.usage, { cause });
}

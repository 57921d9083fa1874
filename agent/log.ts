/** What the agent tells whoever reads its output: one JSON object a line. */

/** A value that a log line may hold. Secrets are never passed. */
export type LogValue = string | number | boolean | undefined;

/** Facts of one event, by name. */
export type LogFields = Readonly<Record<string, LogValue>>;

/** Writes events. `event` is a fixed lower-case name, so that it can be searched for. */
export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A log that writes lines such as `{"at":"…","level":"info","event":"connected"}`. */
export function createLog(write: (line: string) => void, wallTime: () => string): Log {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void =>
      write(`${JSON.stringify({ at: wallTime(), level, event, ...fields })}\n`);
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

/** An error as one line for a log or a terminal. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

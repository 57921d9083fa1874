import type { Clock } from "./domain/clock.ts";

/** One JSON line for whoever reads the log. Never given a credential. */
export type Log = (level: "info" | "warn" | "error", event: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Writes to standard error: standard output holds the ready line alone. */
export function createLog(clock: Clock): Log {
  return (level, event, fields = {}) => {
    process.stderr.write(`${JSON.stringify({ at: clock.now().toISOString(), level, event, ...fields })}\n`);
  };
}

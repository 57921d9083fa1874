/**
 * Which errors mean that the database is away: nothing is wrong with the statement,
 * and the same one may succeed later. Whether a write that ended so took effect is
 * unknown; a caller must read before it acts again.
 */

/** *Source*: appendix A of PostgreSQL's manual. Classes 08 (connection) and 53 (out of connections, memory or disk). */
const AWAY_CLASSES: ReadonlySet<string> = new Set(["08", "53"]);
/** Shutting down, crashed, not accepting connections yet. */
const AWAY_STATES: ReadonlySet<string> = new Set(["57P01", "57P02", "57P03"]);
const AWAY_SYSTEM_ERRORS: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOTCONN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
/** `pg` gives its own errors no code. */
const AWAY_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|timeout expired|Query read timeout)/;

/** True when an error of the database driver, or what caused it, says that the database is away. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError && error.errors.some(isDatabaseAway)) return true;
  return isAwayCode(error) || AWAY_MESSAGES.test(error.message) || isDatabaseAway(error.cause);
}

function isAwayCode(error: Error): boolean {
  if (!("code" in error) || typeof error.code !== "string") return false;
  const { code } = error;
  // No socket at that path. From any other call ENOENT is a missing file.
  if (code === "ENOENT") return "syscall" in error && error.syscall === "connect";
  const isSqlState = /^[0-9A-Z]{5}$/.test(code) && "severity" in error;
  if (isSqlState) return AWAY_STATES.has(code) || AWAY_CLASSES.has(code.slice(0, 2));
  return AWAY_SYSTEM_ERRORS.has(code);
}

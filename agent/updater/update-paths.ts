import { dirname, join } from "node:path";

/** Every name that an update touches. Nothing else on the host is ever written by it. */
export interface UpdatePaths {
  /** Where the running version stands, taken once at start. */
  readonly binary: string;
  /** The folder of `binary`. */
  readonly folder: string;
  /** The new version while it is written and until it is swapped in. */
  readonly staged: string;
  /** The version that `binary` replaced. */
  readonly old: string;
  /** Becomes `old`, or `binary` again, by rename. */
  readonly oldTemporary: string;
  readonly stateDir: string;
  readonly journal: string;
  readonly journalTemporary: string;
  readonly verdictTemporary: string;
  /** The guard's own: it may decide while the agent confirms. */
  readonly guardVerdict: string;
  /** What the guard remembers of the update that it looks at. */
  readonly guardRecord: string;
  /** What the new version said until it was confirmed, and what of that did not fit. */
  readonly jobLog: string;
  readonly jobLogBefore: string;
  /** Becomes `binary` by rename when the guard puts `old` back. */
  readonly restored: string;
  /** What this host remembers of trust. */
  readonly trust: string;
  readonly trustTemporary: string;
}

/** Derives all names of an update from the two that are configured. Both must be absolute. */
export function updatePaths(binaryPath: string, stateDir: string): UpdatePaths {
  return {
    binary: binaryPath,
    folder: dirname(binaryPath),
    staged: `${binaryPath}.new`,
    old: `${binaryPath}.old`,
    oldTemporary: `${binaryPath}.old.tmp`,
    stateDir,
    journal: join(stateDir, "journal"),
    journalTemporary: join(stateDir, "journal.tmp"),
    verdictTemporary: join(stateDir, "verdict.tmp"),
    guardVerdict: join(stateDir, "verdict.guard"),
    guardRecord: join(stateDir, "guard"),
    jobLog: join(stateDir, "job-log"),
    jobLogBefore: join(stateDir, "job-log.1"),
    restored: `${binaryPath}.restore`,
    trust: join(stateDir, "trust"),
    trustTemporary: join(stateDir, "trust.tmp"),
  };
}

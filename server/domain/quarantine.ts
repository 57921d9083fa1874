/**
 * An artifact that rolled back on several hosts is not sent any more, until an admin
 * lifts that. It takes distinct hosts, each told to restart into it: one host that is
 * broken, or lies, bans no release.
 */

/** Hosts on which an artifact rolls back before it is quarantined, unless the server is told otherwise. */
export const HOSTS_TO_QUARANTINE = 2;

/** A quarantine that an outcome brought about. */
export interface NewQuarantine {
  /** Lower-case hex. */
  readonly sha256: string;
  /** On which it rolled back. */
  readonly hosts: number;
}

/** A quarantine that was lifted. */
export interface LiftedQuarantine {
  /** That no longer count against the artifact. */
  readonly hosts: number;
}

import { join } from "node:path";

/**
 * The folder of one cluster and what lies in it. The folder itself and `conf`
 * belong to the server's user; only `data`, `run` and `log` to the database's, so
 * that a database that was broken into can't put a link where root writes next.
 */
export interface ClusterHome {
  readonly path: string;
  /** Where PostgreSQL's files are copied to; several clusters may share it. */
  readonly binariesParent: string;
}

/** Folder of the rows (PGDATA). */
export function dataFolder(home: ClusterHome): string {
  return join(home.path, "data");
}

/** Folder of the socket, unless its path would be too long. */
export function runFolder(home: ClusterHome): string {
  return join(home.path, "run");
}

/** Folder of PostgreSQL's log. */
export function logFolder(home: ClusterHome): string {
  return join(home.path, "log");
}

/** Folder of the three configuration files. */
export function configurationFolder(home: ClusterHome): string {
  return join(home.path, "conf");
}

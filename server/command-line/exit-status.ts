/** How the program ends, by what became of what was asked. docs/command-line.md has the same table. */

/** The exit statuses. */
export const EXIT = {
  done: 0,
  /** The server understood and refused, or what was asked for ended badly: a failed update, a halt, a failed check. */
  failed: 1,
  /** The command line, a file or a value cannot be understood. Nothing was asked of the server, or it changed nothing. */
  usage: 2,
  /** No server was reached, or it is not the one that is trusted. */
  unreachable: 3,
  /** Nobody is signed in, the session or token is not valid, or its role may not do this. */
  notPermitted: 4,
  /** The server itself failed. */
  serverFailed: 5,
  /** Ctrl-C, as shells number it. What runs on the server goes on. */
  interrupted: 130,
} as const;

/** One of them. */
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

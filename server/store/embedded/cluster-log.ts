/** One line about the embedded database, for the server's log. */
export interface ClusterLogLine {
  readonly level: "info" | "warn";
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Takes the lines of the embedded database. Must not throw. */
export type ClusterLog = (line: ClusterLogLine) => void;

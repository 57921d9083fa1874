/** The embedded database cannot run here as asked. The message says what was found, what was left alone and what to do. */
export class ClusterError extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause });
    this.name = "ClusterError";
  }
}

/** Another server process holds this data directory. Its database was left running. */
export class ClusterInUseError extends ClusterError {
  /** Process id of the holder as it announced itself, or undefined when it did not. */
  readonly holderPid: number | undefined;

  constructor(dataDir: string, holderPid: number | undefined) {
    const who = holderPid === undefined ? "another Rollcall server" : `another Rollcall server (process ${holderPid})`;
    super(
      `The data directory ${dataDir} is in use by ${who}. Nothing was changed. ` +
        "Stop that server first, or start this one with another ROLLCALL_DATA_DIR.",
    );
    this.name = "ClusterInUseError";
    this.holderPid = holderPid;
  }
}

/** A backup cannot be taken or restored. The message says what was found, what was left alone and what to do. */
export class BackupError extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause });
    this.name = "BackupError";
  }
}

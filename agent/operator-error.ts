/** Something that whoever started the program can put right. Told in one sentence, without a stack. */
export class OperatorError extends Error {
  /** 2 for a command line that cannot be understood, 1 for everything else. */
  readonly exitStatus: 1 | 2;

  constructor(sentence: string, options: { exitStatus?: 1 | 2; cause?: unknown } = {}) {
    super(sentence, { cause: options.cause });
    this.name = "OperatorError";
    this.exitStatus = options.exitStatus ?? 1;
  }
}

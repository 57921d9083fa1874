import type { STATUS } from "../wire/status-codes.ts";

/** Why the listener itself ends a call. Its sentence is for the log of the other side. */
export class StreamEndedError extends Error {
  readonly status: keyof typeof STATUS;

  constructor(status: keyof typeof STATUS, sentence: string) {
    super(sentence);
    this.name = "StreamEndedError";
    this.status = status;
  }
}

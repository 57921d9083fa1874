import type { ScryptCost } from "./secret-key-file.ts";

/** What the publisher's tools take from the machine they run on. */
export interface Workbench {
  /** Wall time, for people who read a document's date; nothing is decided by it. */
  readonly now: () => Date;
  /** Bytes that nobody can guess. */
  readonly randomBytes: (count: number) => Buffer;
  /** What new passwords are stretched with. */
  readonly passwordCost: ScryptCost;
  readonly print: (line: string) => void;
  /** Asks the person at the terminal without showing what is typed. */
  readonly askPassword: (question: string) => Promise<string>;
}

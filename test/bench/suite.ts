/** One suite of `npm run bench`. It prints a small table for people and returns the facts for its one JSON line. */
export interface Suite {
  readonly name: string;
  run(print: (line: string) => void, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
}
